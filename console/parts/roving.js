/** A long list as one stop of the Tab key; the arrow keys, Home and End move within it. */

import { useEffect, useRef } from "../vendor/preact.js";

/** @param {HTMLElement[]} all @param {EventTarget | undefined | null} stop */
function mark(all, stop) {
  for (const item of all) {
    const tabIndex = item === stop ? 0 : -1;
    if (item.tabIndex !== tabIndex) item.tabIndex = tabIndex;
  }
}

/**
 * @param {string} selector  of what can be focused in the list
 * @param {{ columns?: () => number }} [options]  how many stand in a row
 * @returns {{ current: any }} for the list's `ref`
 */
export function useRoving(selector, { columns } = {}) {
  const ref = useRef(/** @type {any} */ (null));
  const items = () => /** @type {HTMLElement[]} */ ([...(ref.current?.querySelectorAll(selector) ?? [])]);
  useEffect(() => {
    const list = ref.current;
    if (!list) return undefined;
    /** @param {KeyboardEvent} event */
    const move = (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const all = items();
      const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
      const row = columns?.() ?? 1;
      const sideways = row > 1 ? { ArrowRight: at + 1, ArrowLeft: at - 1 } : {};
      const to = /** @type {Record<string, number>} */ ({ ArrowDown: at + row, ArrowUp: at - row, Home: 0, End: all.length - 1, ...sideways })[event.key];
      if (at < 0 || to === undefined || !all[to]) return;
      event.preventDefault();
      all[to].focus();
    };
    /** @param {FocusEvent} event */
    const enter = ({ target }) => {
      const all = items();
      if (all.includes(/** @type {any} */ (target))) mark(all, target);
    };
    list.addEventListener("keydown", move);
    list.addEventListener("focusin", enter);
    return () => {
      list.removeEventListener("keydown", move);
      list.removeEventListener("focusin", enter);
    };
  }, [ref.current]);
  useEffect(() => {
    const all = items();
    mark(
      all,
      all.find((item) => item === document.activeElement) ??
        all.find((item) => item.getAttribute("aria-current")) ??
        all.find((item) => item.tabIndex === 0) ??
        all[0],
    );
  });
  return ref;
}
