/** Writes messages no faster than a server takes them. */

// An edge takes 100 messages a second, and 200 at once.
const MOST_AT_ONCE = 100;
const EVERY_MS = 12;

export class Pace {
  /** @type {string[]} */ #waiting = [];
  /** @type {any} */ #timer;
  #may = MOST_AT_ONCE;
  #countedAt = Date.now();
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
    // By the clock and not by the timer, which comes once a second at most where the page is hidden.
    const now = Date.now();
    this.#may = Math.min(MOST_AT_ONCE, this.#may + Math.max(0, now - this.#countedAt) / EVERY_MS);
    this.#countedAt = now;
    for (; this.#may >= 1 && this.#waiting.length > 0; this.#may -= 1) {
      this.#send(/** @type {string} */ (this.#waiting.shift()));
    }
    if (!this.#waiting.length) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#pump();
    }, EVERY_MS);
  }
}
