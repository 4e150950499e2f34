/** Who one is, in the bar: a name one gives oneself, or the token that the mesh asks for. */

import * as api from "./api.js";
import { hue } from "./format.js";
import { connection } from "./store/link.js";
import { call, loadMe, name, ownName, told } from "./store/me.js";
import { Icon } from "./parts/icons.js";
import { html, signal, useEffect, useRef, useState } from "./vendor/preact.js";

const SOON_MS = 5 * 60_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const isYouOpen = signal(false);

/** Whether a token is missing, or no longer good. */
const isRefused = () => told.value.refused || (connection.value.name === "failed" && !told.value.open);

/** @param {{ close: () => void }} props */
function NameForm({ close }) {
  const box = useRef(/** @type {any} */ (null));
  const save = (/** @type {Event} */ event) => {
    event.preventDefault();
    const before = ownName.peek();
    call(box.current.value);
    close();
    // Who is here is told when a connection opens.
    if (ownName.peek() !== before) location.reload();
  };
  return html`
    <form class="you-form" onSubmit=${save}>
      <p>Nobody signs in on this mesh. With a name, others see who writes and who is here.</p>
      <label for="own-name">Your name</label>
      <input ref=${box} id="own-name" type="text" maxlength="64" autocomplete="nickname" value=${ownName.value} />
      <div class="buttons"><button class="button primary" type="submit">Save</button></div>
    </form>
  `;
}

/** @param {{ close: () => void }} props */
function TokenForm({ close }) {
  const box = useRef(/** @type {any} */ (null));
  const [{ busy, problem }, setAsked] = useState({ busy: false, problem: "" });
  const { user, expiresAt } = told.value;
  const refused = isRefused();
  const enter = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const token = box.current.value.trim();
    if (!token) return box.current.focus();
    setAsked({ busy: true, problem: "" });
    try {
      await api.login(token);
      box.current.value = "";
      // A connection that was refused begins anew; one that is open goes on with the new cookie.
      if (refused) return location.reload();
      await loadMe();
      setAsked({ busy: false, problem: "" });
      close();
    } catch (error) {
      setAsked({ busy: false, problem: error instanceof Error ? error.message : String(error) });
    }
  };
  const leave = async () => {
    await api.logout().catch(() => {});
    location.reload();
  };
  return html`
    <form class="you-form" onSubmit=${enter}>
      <p>
        ${user && !refused
          ? html`You are <b>${user}</b>${expiresAt > 0 && `, until ${new Date(expiresAt).toLocaleString()}`}. A fresh token prolongs it.`
          : "This mesh asks who you are. Paste the token that you were given; whoever runs the mesh makes one with mesh token."}
      </p>
      <label for="token">Token</label>
      <input ref=${box} id="token" type="password" autocomplete="off" spellcheck="false" readonly=${busy} aria-invalid=${problem ? "true" : undefined} aria-describedby="token-problem" />
      <p id="token-problem" class="problem" role="alert">${problem}</p>
      <div class="buttons">
        ${user && !refused && html`<button class="button" type="button" onClick=${leave}>Sign out</button>`}
        <button class="button primary" type="submit" disabled=${busy}>${user && !refused ? "Renew" : "Sign in"}</button>
      </div>
    </form>
  `;
}

/** Says that a token is about to end. */
export function Ending() {
  const { expiresAt, open, refused } = told.value;
  const [, tick] = useState(0);
  const left = expiresAt - Date.now();
  useEffect(() => {
    if (!expiresAt) return undefined;
    const timer = setTimeout(() => tick((count) => count + 1), Math.min(LONGEST_TIMER_MS, Math.max(1_000, left > SOON_MS ? left - SOON_MS : left)));
    return () => clearTimeout(timer);
  });
  if (open || refused || !expiresAt || left > SOON_MS) return null;
  return html`
    <p class="notice ending" role="status">
      ${left > 0 ? "Your token ends soon." : "Your token has ended."}
      <button type="button" class="text-button" onClick=${() => (isYouOpen.value = true)}>Renew it</button>
    </p>
  `;
}

/** The button in the bar, and the sheet that it opens. */
export function You() {
  const dialog = useRef(/** @type {any} */ (null));
  const refused = isRefused();
  const isOpen = isYouOpen.value || refused;
  useEffect(() => {
    if (isOpen && !dialog.current.open) dialog.current.showModal();
    if (!isOpen && dialog.current.open) dialog.current.close();
  }, [isOpen]);
  useEffect(() => {
    void loadMe();
  }, [connection.value.name === "connected", connection.value.name === "failed"]);
  const close = () => dialog.current.close();
  const who = name.value;
  return html`
    <button type="button" class="you" aria-label=${who ? `You are ${who}` : "Say who you are"} title=${who ? `You are ${who}` : "Say who you are"} onClick=${() => (isYouOpen.value = true)}>
      ${who ? html`<span class="avatar" style=${{ "--hue": hue(who) }} aria-hidden="true">${[...who][0]?.toUpperCase()}</span>` : html`<${Icon} name="agents" />`}
    </button>
    <dialog ref=${dialog} class="sheet" aria-labelledby="you-title" onClose=${() => (isYouOpen.value = false)}>
      <header class="sheet-head">
        <h2 id="you-title">${refused ? "Sign in" : "You"}</h2>
        <button type="button" class="text-button" onClick=${close}>Close</button>
      </header>
      ${isOpen && (told.value.open ? html`<${NameForm} close=${close} />` : html`<${TokenForm} close=${close} />`)}
    </dialog>
  `;
}
