/** Small parts: a status as a badge, a time, a bar. */

import { clock, moment } from "../format.js";
import { html } from "../vendor/preact.js";

/** @param {{ status: string }} props */
export const Badge = ({ status }) => (status ? html`<span class="badge" data-status=${status}>${status}</span>` : null);

/**
 * A time: the clock for today, else the day; the whole of it to whoever asks.
 *
 * @param {{ at: number, class?: string, words?: (at: number) => string }} props  milliseconds
 */
export function Time({ at, class: name, words = moment }) {
  if (!at || Number.isNaN(at)) return html`<time class=${name}></time>`;
  return html`<time class=${name} datetime=${new Date(at).toISOString()} title=${`${new Date(at).toLocaleDateString()} ${clock(at)}`}>${words(at)}</time>`;
}

/**
 * How far something has come.
 *
 * @param {{ share: number | undefined, label: string }} props  from 0 to 1; undefined where there is no telling
 */
export const Bar = ({ share, label }) => html`<progress max="1" value=${share} aria-label=${label}></progress>`;
