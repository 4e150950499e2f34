/** What stands where there is nothing yet: words that help, bars while something loads, what went wrong and a way on. */

import { html } from "../vendor/preact.js";

/**
 * Nothing is there, and what would bring it.
 *
 * @param {{ title: string, id?: string, children?: any }} props
 */
export const Empty = ({ title, id, children }) => html`<div class="placeholder" id=${id}><h2>${title}</h2><div>${children}</div></div>`;

/**
 * Something is on its way: bars in its place. What is there within a moment is never announced.
 *
 * @param {{ widths?: number[], label?: string }} props  widths in percent
 */
export const Loading = ({ widths = [72, 54, 64, 48], label = "Loading" }) =>
  html`<div class="loading" role="status"><span class="visually-hidden">${label}</span>${widths.map((width) => html`<span class="skeleton" style=${{ width: `${width}%` }}></span>`)}</div>`;

/**
 * Something failed: what, why, and a button that tries again.
 *
 * @param {{ title: string, text?: string, retry?: () => void, id?: string }} props
 */
export const Problem = ({ title, text, retry, id }) => html`
  <div class="placeholder" id=${id} role="alert">
    <h2>${title}</h2>
    <div>${text && html`<p>${text}</p>`} ${retry && html`<button type="button" class="button" onClick=${retry}>Try again</button>`}</div>
  </div>
`;

/** One line at the head of a room about how it stands, such as that it cannot be trusted now. @param {{ kind?: "warn" | "bad", children?: any }} props */
export const Notice = ({ kind = "warn", children }) => html`<p class=${`notice ${kind}`} role="status">${children}</p>`;
