/** Who one is, in the bar: a name one gives oneself, or the token that the mesh asks for. */

import { hue } from "./format.js";
import { connection } from "./store/link.js";
import { loadMe, name, told } from "./store/me.js";
import { Icon } from "./parts/icons.js";
import { Lazy } from "./parts/states.js";
import { html, signal, useEffect, useRef, useState } from "./vendor/preact.js";

const SOON_MS = 5 * 60_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const isYouOpen = signal(false);

/** Whether a token is missing, or no longer good. */
const isRefused = () => told.value.refused || (connection.value.name === "failed" && !told.value.open);

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
      ${isOpen && html`<${Lazy} load=${() => import("./you-forms.js")} refused=${refused} close=${close} />`}
    </dialog>
  `;
}
