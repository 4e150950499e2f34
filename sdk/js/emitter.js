/** Listeners by type. No I/O. */

/** @typedef {import("./event_types.js").Heard} Heard */
/** @typedef {import("./topic.js").MeshEvent} MeshEvent */

export class Emitter {
  /** @type {Map<string, Set<(event: any) => void>>} */ #listeners = new Map();

  /**
   * @template {keyof Heard | (string & {})} T
   * @param {T} type
   * @param {(event: T extends keyof Heard ? Heard[T] : MeshEvent) => void} listener
   * @returns {() => void} takes the listener away again
   */
  on(type, listener) {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(/** @type {any} */ (listener)));
    return () => void listeners.delete(/** @type {any} */ (listener));
  }

  /**
   * @protected
   * @param {string} type
   * @param {unknown} event
   */
  _emit(type, event) {
    for (const listener of this.#listeners.get(type) ?? []) {
      try {
        listener(event);
      } catch (error) {
        // An application's mistake is its own to see; it must not stop the events after it.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** @protected */
  _deafen() {
    this.#listeners.clear();
  }
}
