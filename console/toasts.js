/** Short words at the edge of the page about what was just done, such as with a way to undo it. */

import { html, signal } from "./vendor/preact.js";

/**
 * @typedef {object} Toast
 * @property {number} id
 * @property {string} text
 * @property {string} [action]          what the button says
 * @property {() => void} [run]         what it does
 * @property {() => void} [gone]        called once where it goes without the button
 * @property {any} [timer]
 */

const SHOWN_MS = 8_000;

/** @type {import("./vendor/preact.js").Signal<Toast[]>} */
const toasts = signal([]);
let count = 0;

/** @param {Toast} toast @param {boolean} [acted] */
function end(toast, acted = false) {
  if (!toasts.peek().includes(toast)) return;
  clearTimeout(toast.timer);
  toasts.value = toasts.peek().filter((each) => each !== toast);
  if (acted) toast.run?.();
  else toast.gone?.();
}

/**
 * Show words for a while.
 *
 * @param {string} text
 * @param {{ action?: string, run?: () => void, gone?: () => void, forMs?: number }} [options]
 * @returns {() => void}  takes them away
 */
export function toast(text, { forMs = SHOWN_MS, ...more } = {}) {
  /** @type {Toast} */
  const made = { id: (count += 1), text, ...more };
  made.timer = setTimeout(() => end(made), forMs);
  toasts.value = [...toasts.peek(), made];
  return () => end(made);
}

export const Toasts = () => html`
  <div class="toasts" role="status" aria-live="polite">
    ${toasts.value.map(
      (each) => html`
        <div class="toast" key=${each.id}>
          <span>${each.text}</span>
          ${each.action && html`<button type="button" class="text-button" onClick=${() => end(each, true)}>${each.action}</button>`}
        </div>
      `,
    )}
  </div>
`;
