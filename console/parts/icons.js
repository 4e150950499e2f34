/** Icons, drawn in the colour of the text around them. */

import { html } from "../vendor/preact.js";

/** @type {Record<string, string>} lines on a square of 20 */
const LINES = {
  chat: "M4 4.5h12a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1H9l-4 3v-3H4a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1z",
  activity: "M2.5 10.5h3l2.5-6 4 11 2.5-5h3",
  agents: "M10 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM4 16.5c.5-3 3-4.5 6-4.5s5.5 1.5 6 4.5",
  tasks: "M3.5 5.5l1.5 1.5 2.5-3M3.5 13l1.5 1.5 2.5-3M10.5 6h6M10.5 13.5h6",
  council: "M10 3v14M4 6h12M4 6l-2 5a2.2 2.2 0 0 0 4 0zM16 6l-2 5a2.2 2.2 0 0 0 4 0zM6.5 17h7",
  brain: "M10 4.5v11M10 5a2.5 2.5 0 0 0-4.6-1.3A2.6 2.6 0 0 0 3.5 7.5a3 3 0 0 0 0 5A2.6 2.6 0 0 0 6 16.3 2.5 2.5 0 0 0 10 15M10 5a2.5 2.5 0 0 1 4.6-1.3A2.6 2.6 0 0 1 16.5 7.5a3 3 0 0 1 0 5 2.6 2.6 0 0 1-2.5 3.8A2.5 2.5 0 0 1 10 15",
  mesh: "M10 6.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM4.5 17a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM15.5 17a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM9 6.2l-3.5 7M11 6.2l3.5 7M6.5 15h7",
  plus: "M10 4v12M4 10h12",
  search: "M9 14.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11zM13 13l4 4",
  send: "M10 16V4M5 9l5-5 5 5",
  back: "M12 4l-6 6 6 6",
  close: "M5 5l10 10M15 5L5 15",
  copy: "M7 7V4.5a1 1 0 0 1 1-1h7.5a1 1 0 0 1 1 1V12a1 1 0 0 1-1 1H13M4.5 7H12a1 1 0 0 1 1 1v7.5a1 1 0 0 1-1 1H4.5a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1z",
  check: "M4 10.5l4 4 8-9",
  more: "M4.5 10h.01M10 10h.01M15.5 10h.01",
  edit: "M4 16l1-4 8.5-8.5 3 3L8 15z",
  trash: "M4 6h12M8 6V4h4v2M5.5 6l.7 10h7.6l.7-10",
  keys: "M3 6h14v9H3zM6 9h.01M10 9h.01M14 9h.01M7 12h6",
  panel: "M3.5 4.5h13v11h-13zM12 4.5v11",
  share: "M8 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2 16.5c.5-3 3-4.5 6-4.5s5.5 1.5 6 4.5M15.5 5v6M12.5 8h6",
};

/**
 * @param {{ name: string, size?: number }} props
 */
export function Icon({ name, size = 18 }) {
  const bold = name === "more" || name === "keys" ? 2 : 1.6;
  return html`<svg class="icon" viewBox="0 0 20 20" width=${size} height=${size} fill="none" stroke="currentColor" stroke-width=${bold} stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${LINES[name] ?? ""} /></svg>`;
}

/** The half-dark disc of the theme switch. */
export const ThemeIcon = () =>
  html`<svg class="icon" viewBox="0 0 20 20" width="18" height="18" aria-hidden="true"><circle cx="10" cy="10" r="7" fill="none" stroke="currentColor" stroke-width="1.6" /><path d="M10 3a7 7 0 0 1 0 14z" fill="currentColor" /></svg>`;
