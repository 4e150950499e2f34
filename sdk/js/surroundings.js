/** What a page or a worker is told of its network, and of its own coming and going. */

/**
 * @typedef {object} Told
 * @property {() => void} woke                  the network may be back, or the page awake
 * @property {(reason: string) => void} cut     the network is away
 * @property {() => void} left                  the page is left; it may come back from the browser's cache, long after
 */

export class Surroundings {
  /** @type {Array<() => void>} */ #ends = [];

  /** @param {Told} told */
  constructor({ woke, cut, left }) {
    this.#watch(globalThis, "online", woke);
    this.#watch(globalThis, "offline", () => cut("offline"));
    this.#watch(globalThis, "pageshow", woke);
    this.#watch(globalThis, "pagehide", left);
    this.#watch(globalThis.document, "visibilitychange", () => document.visibilityState === "visible" && woke());
    this.#watch(globalThis.document, "resume", woke);
  }

  /** Hear nothing of it any more. */
  end() {
    for (const end of this.#ends.splice(0)) end();
  }

  /**
   * @param {EventTarget | undefined} target
   * @param {string} type
   * @param {() => void} handler
   */
  #watch(target, type, handler) {
    if (!target?.addEventListener) return;
    target.addEventListener(type, handler);
    this.#ends.push(() => target.removeEventListener(type, handler));
  }
}
