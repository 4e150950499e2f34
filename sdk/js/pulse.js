/** Whether a connection is alive: it is asked when it has been silent, and given up when it does not answer. */

// A dead network is noticed within 45 s: a ping after 15 to 20 s of silence, and 25 s for its answer.
const BEAT_MS = 5_000;
const PING_AFTER_MS = 15_000;
const PONG_WITHIN_MS = 20_000;
const PROBE_WITHIN_MS = 5_000;

export class Pulse {
  #heardAt = 0;
  #pingedAt = 0;
  /** @type {any} */ #beatTimer;
  /** @type {any} */ #probeTimer;
  #send;
  #silent;

  /**
   * @param {(text: string) => void} send
   * @param {() => void} silent  it does not answer
   */
  constructor(send, silent) {
    this.#send = send;
    this.#silent = silent;
  }

  /** A connection begins. */
  start() {
    this.#beatTimer = setInterval(() => this.#beat(), BEAT_MS);
  }

  /** It has ended. */
  stop() {
    clearInterval(this.#beatTimer);
    clearTimeout(this.#probeTimer);
  }

  /** Something came. */
  heard() {
    this.#heardAt = Date.now();
  }

  /** See whether it is still there, unless it was heard just now. */
  probe() {
    if (Date.now() - this.#heardAt < BEAT_MS) return;
    this.#ping();
    clearTimeout(this.#probeTimer);
    this.#probeTimer = setTimeout(() => this.#pingedAt > this.#heardAt && this.#silent(), PROBE_WITHIN_MS);
  }

  #beat() {
    const now = Date.now();
    if (this.#pingedAt > this.#heardAt) {
      if (now - this.#pingedAt >= PONG_WITHIN_MS) this.#silent();
    } else if (now - this.#heardAt >= PING_AFTER_MS) {
      this.#ping();
    }
  }

  #ping() {
    this.#pingedAt = Date.now();
    this.#send(JSON.stringify({ type: "ping", timestamp: this.#pingedAt }));
  }
}
