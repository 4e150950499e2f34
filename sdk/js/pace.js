/** Writes messages no faster than a server takes them. */

// An edge takes 100 messages a second, and 200 at once.
const MOST_AT_ONCE = 100;
const EVERY_MS = 12;

export class Pace {
  /** @type {string[]} */ #waiting = [];
  /** @type {any} */ #timer;
  #may = MOST_AT_ONCE;
  #send;

  /** @param {(text: string) => void} send */
  constructor(send) {
    this.#send = send;
  }

  /** @param {string} text */
  write(text) {
    this.#waiting.push(text);
    this.#pump();
  }

  /** Another connection: nothing waits for it yet. */
  reset() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting = [];
    this.#may = MOST_AT_ONCE;
  }

  #pump() {
    for (; this.#may > 0 && this.#waiting.length > 0; this.#may -= 1) {
      this.#send(/** @type {string} */ (this.#waiting.shift()));
    }
    if (this.#may >= MOST_AT_ONCE) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#may += 1;
      this.#pump();
    }, EVERY_MS);
  }
}
