/** Listeners by type. No I/O. */

export class Emitter {
  /** @type {Map<string, Set<(event: any) => void>>} */ #listeners = new Map();

  /**
   * @param {string} type
   * @param {(event: any) => void} listener
   * @returns {() => void} takes the listener away again
   */
  on(type, listener) {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return () => void listeners.delete(listener);
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
