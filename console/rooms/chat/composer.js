/** The box that messages are written in. What was begun in one session waits there, over a reload too. */

import { Icon } from "../../parts/icons.js";
import { useShortcuts } from "../../keys.js";
import { meaning } from "../../status.js";
import { session } from "../../store/kept.js";
import { html, useLayoutEffect, useRef, useState } from "../../vendor/preact.js";

/** @type {Record<string, string>} what was begun, by session */
const drafts = session.read("drafts", {});

/** @param {string} id @param {string} text */
function keep(id, text) {
  if (text) drafts[id] = text;
  else delete drafts[id];
  session.write("drafts", drafts);
}

/** Put a text back, unless another one was begun. @param {string} id @param {string} text */
export function giveBack(id, text) {
  const box = /** @type {any} */ (document.getElementById("composer-text"));
  if (!box || box.value) return;
  box.value = text;
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

export const focusComposer = () => document.getElementById("composer-text")?.focus();

/** @param {{ id: string, to: string, disabled: boolean, onSend: (text: string) => void, onType: () => void }} props */
export function Composer({ id, to, disabled, onSend, onType }) {
  const box = useRef(/** @type {any} */ (null));
  const [ready, setReady] = useState(false);
  useShortcuts([
    { keys: "m", says: "Write a message", group: "Chat", run: () => box.current.focus() },
    { keys: "Enter", says: "Send", group: "Chat" },
    { keys: "Shift+Enter", says: "A new line", group: "Chat" },
  ]);
  const fit = () => {
    const { current } = box;
    current.style.height = "auto";
    current.style.height = `${current.scrollHeight + current.offsetHeight - current.clientHeight}px`;
    setReady(current.value.trim() !== "");
  };
  useLayoutEffect(() => {
    box.current.value = drafts[id] ?? "";
    fit();
  }, [id]);
  const send = (/** @type {Event} */ event) => {
    event.preventDefault();
    const text = box.current.value.trim();
    if (!text || disabled) return;
    box.current.value = "";
    keep(id, "");
    fit();
    onSend(text);
  };
  return html`
    <form id="composer" class=${`composer${ready ? " ready" : ""}`} autocomplete="off" onSubmit=${send}>
      <label class="visually-hidden" for="composer-text">Message</label>
      <textarea
        ref=${box}
        id="composer-text"
        rows="1"
        placeholder=${`Message ${to}…`}
        enterkeyhint="send"
        aria-describedby="composer-hint"
        disabled=${disabled}
        onInput=${() => {
          keep(id, box.current.value);
          fit();
          if (box.current.value) onType();
        }}
        onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.isComposing) send(event);
        }}
      ></textarea>
      <button class="send" type="submit" aria-label="Send message" title="Send (Enter)" disabled=${disabled}><${Icon} name="send" /></button>
      <p id="composer-hint" class="hint">${meaning()}</p>
    </form>
  `;
}
