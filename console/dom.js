/**
 * Small tools for building and updating the page. Texts become text nodes, so nothing that agents write is ever read as
 * markup.
 */

/**
 * Make an element.
 *
 * @param {string} tag
 * @param {Record<string, any>} [attributes]  `onclick` and the like take functions; null and false leave one out
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/**
 * The element of an id that the page is known to have.
 *
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Set an element's text, touching the page only where it changes.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Batch renders: however often the result is called, `render` runs once in the next animation frame.
 *
 * @param {() => void} render
 * @returns {() => void}
 */
export function inFrame(render) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      render();
    });
  };
}

/**
 * Bring a list's elements into the given order, moving only what is out of place and removing what is gone.
 *
 * @param {Element} list
 * @param {Element[]} elements
 */
export function arrange(list, elements) {
  const kept = new Set(elements);
  for (const child of [...list.children]) if (!kept.has(child)) child.remove();
  elements.forEach((element, index) => {
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
  });
}

/**
 * Make a long list one stop of the Tab key; the arrow keys, Home and End move within it.
 *
 * @param {HTMLElement} list
 * @param {string} selector  of what can be focused
 * @returns {() => void}     to call after the list changed
 */
export function roving(list, selector) {
  /** @param {HTMLElement[]} all @param {EventTarget | undefined | null} stop */
  const mark = (all, stop) => {
    for (const item of all) {
      const tabIndex = item === stop ? 0 : -1;
      if (item.tabIndex !== tabIndex) item.tabIndex = tabIndex;
    }
  };
  const items = () => /** @type {HTMLElement[]} */ ([...list.querySelectorAll(selector)]);
  list.addEventListener("keydown", (event) => {
    const all = items();
    const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || to === undefined || !all[to]) return;
    event.preventDefault();
    all[to].focus();
  });
  list.addEventListener("focusin", ({ target }) => mark(items(), target));
  return () => {
    const all = items();
    const stop =
      all.find((item) => item === document.activeElement) ??
      all.find((item) => item.getAttribute("aria-current")) ??
      all.find((item) => item.tabIndex === 0) ??
      all[0];
    mark(all, stop);
  };
}
