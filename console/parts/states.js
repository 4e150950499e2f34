/** What stands where there is nothing yet: words that help, bars while something loads, what went wrong and a way on. */

import { html, useEffect, useState } from "../vendor/preact.js";

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

/**
 * A part whose module is loaded when it is first shown.
 *
 * @param {{ load: () => Promise<{ default: any }>, [prop: string]: any }} props  `load` gives a module whose default
 *   export is a component; all else is handed on to it
 */
export function Lazy({ load, ...props }) {
  const [found, setFound] = useState(/** @type {{ part?: any, problem?: string }} */ ({}));
  const ask = () =>
    load().then(
      (module) => setFound({ part: module.default }),
      (error) => setFound({ problem: String(error?.message ?? error) }),
    );
  useEffect(() => void ask(), []);
  if (found.part) return html`<${found.part} ...${props} />`;
  if (found.problem) return html`<${Problem} title="This could not be loaded" text=${found.problem} retry=${ask} />`;
  return html`<${Loading} widths=${[60, 80]} />`;
}
