/** Shortcuts: which keys do what now. `?` shows them: key-sheet.js. */

import { local } from "./store/kept.js";
import { signal, useEffect, useRef } from "./vendor/preact.js";

/**
 * @typedef {object} Shortcut
 * @property {string} keys     as on the sheet: `g c` one after the other, `?`, `Escape`, `Ctrl+Enter`
 * @property {string} says     what it does
 * @property {string} [group]  what it belongs to on the sheet, such as a room's title
 * @property {(event: KeyboardEvent) => void} [run]  left out where the keys are handled elsewhere, and only told of here
 * @property {boolean} [always]  also while one types
 */

const NEXT_WITHIN_MS = 1_200;

/** @type {import("./vendor/preact.js").Signal<Shortcut[]>} */
export const known = signal([]);
export const isSheetOpen = signal(false);
/** Whether single letters do something (WCAG 2.2, 2.1.4). */
export const areLettersOn = signal(local.read("letters", true));

let before = "";
let beforeAt = 0;

/** @param {EventTarget | null} target */
const isTyping = (target) =>
  target instanceof HTMLElement && (target.isContentEditable || target.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=range], [type=button])"));

/** @param {KeyboardEvent} event */
function nameOf({ key, ctrlKey, metaKey, altKey }) {
  return `${ctrlKey || metaKey ? "Ctrl+" : ""}${altKey ? "Alt+" : ""}${key}`;
}

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || ["Control", "Shift", "Alt", "Meta"].includes(event.key)) return;
  if (document.querySelector("dialog[open]") && event.key !== "Escape") return;
  const name = nameOf(event);
  const pair = before && Date.now() - beforeAt < NEXT_WITHIN_MS ? `${before} ${name}` : "";
  const typing = isTyping(event.target);
  const letters = name.length > 1 || areLettersOn.peek();
  // The last that was told of wins: a room's before the page's.
  const able = known.peek().filter(({ run, always }) => run && (always || (!typing && letters))).reverse();
  const found = able.find(({ keys }) => keys === pair) ?? able.find(({ keys }) => keys === name);
  before = found || typing ? "" : name;
  beforeAt = Date.now();
  if (!found) return;
  event.preventDefault();
  found.run?.(event);
});

/**
 * Shortcuts for as long as a component is there.
 *
 * @param {Shortcut[]} shortcuts  what they do may change with each render; which there are may not
 */
export function useShortcuts(shortcuts) {
  const latest = useRef(shortcuts);
  latest.current = shortcuts;
  useEffect(() => {
    /** @type {Shortcut[]} */
    const mine = latest.current.map((shortcut, index) => ({
      ...shortcut,
      run: shortcut.run && ((/** @type {KeyboardEvent} */ event) => latest.current[index].run?.(event)),
    }));
    known.value = [...known.peek(), ...mine];
    return () => {
      known.value = known.peek().filter((each) => !mine.includes(each));
    };
  }, []);
}
