/** The box that messages are written in. What was begun in one session waits there while another is open. */

import { byId, inFrame } from "./dom.js";

export class Composer {
  #form = byId("composer");
  #text = byId("composer-text");
  #button = this.#form.querySelector("button");
  /** @type {Map<string, string>} what was begun, by session */
  #drafts = new Map();
  /** @type {string | null} */
  #session = null;

  /** @param {(text: string) => void} onSend */
  constructor(onSend) {
    this.#form.addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      const text = this.#text.value.trim();
      if (!text || this.#text.disabled) return;
      this.#write("");
      onSend(text);
    });
    this.#text.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#form.requestSubmit();
    });
    this.#text.addEventListener("input", () => this.#fit());
  }

  focus() {
    this.#text.focus();
  }

  /** @param {string} name  whom one writes to */
  address(name) {
    this.#text.placeholder = `Message ${name}…`;
  }

  /** @param {boolean} enabled */
  enable(enabled) {
    this.#text.disabled = this.#button.disabled = !enabled;
  }

  /** @param {string} session whose message is written from now on */
  open(session) {
    if (this.#session === session) return;
    if (this.#session !== null) this.#drafts.set(this.#session, this.#text.value);
    this.#session = session;
    this.#write(this.#drafts.get(session) ?? "");
  }

  /** Put a text back, unless another one was begun. @param {string} text */
  giveBack(text) {
    if (!this.#text.value) this.#write(text);
  }

  /** @param {string} text */
  #write(text) {
    this.#text.value = text;
    this.#fit();
  }

  /** As high as what is written, within what the style sheet allows. */
  #fit = inFrame(() => {
    this.#text.style.height = "auto";
    this.#text.style.height = `${this.#text.scrollHeight}px`;
    this.#form.classList.toggle("ready", this.#text.value.trim() !== "");
  });
}
