/** The token of a connection: asked for, and shown anew before it expires. */

const LEAD_MS = 60_000;
const LEAST_MS = 500;
// The timers of a page that sleeps stand still, and none is longer than 24 days.
const LOOK_EVERY_MS = 30_000;

/**
 * Until when a token is good.
 *
 * @param {string} token  a JSON Web Token
 * @returns {number} milliseconds since 1970 on the clock of who made it; NaN where it does not say
 */
export function expiryOf(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"))).exp * 1_000;
  } catch {
    return NaN;
  }
}

export class Bearer {
  /** @type {string | null | undefined} */ #token;
  #ahead = 0;
  #due = 0;
  #turn = 0;
  /** @type {any} */ #timer;
  #getToken;
  #show;

  /**
   * @param {import("./line.js").LineOptions["getToken"]} getToken
   * @param {(token: string) => void} show  to the server, over the connection that there is
   */
  constructor(getToken, show) {
    this.#getToken = getToken;
    this.#show = show;
  }

  /** Ask for a token to connect with. */
  async ask() {
    this.stop();
    this.#token = await this.#getToken?.();
    return this.#token;
  }

  /**
   * The token was taken.
   *
   * @param {string} [timestamp]  on the server's clock, which counts: this machine's may be wrong
   */
  taken(timestamp) {
    if (timestamp) this.#ahead = Date.parse(timestamp) - Date.now();
    this.#plan();
  }

  /** It is not to be renewed, for now. */
  stop() {
    this.#turn += 1;
    clearTimeout(this.#timer);
  }

  /** A minute before it expires, or when two thirds of what is left have passed. */
  #plan() {
    this.stop();
    const left = expiryOf(this.#token ?? "") - this.#ahead - Date.now();
    if (!(left > LEAST_MS)) return;
    this.#due = Date.now() + left - Math.min(LEAD_MS, left / 3);
    this.#wait();
  }

  #wait() {
    const wait = this.#due - Date.now();
    this.#timer = setTimeout(() => (wait > LOOK_EVERY_MS ? this.#wait() : this.#renew()), Math.min(wait, LOOK_EVERY_MS));
  }

  /** Where there is no other one yet it is asked for again, until it is too late; then the server says so. */
  async #renew() {
    const turn = this.#turn;
    let token;
    try {
      token = await this.#getToken?.();
    } catch {
      // as if there were none
    }
    if (turn !== this.#turn) return;
    if (token && token !== this.#token) {
      this.#token = token;
      this.#show(token);
    }
    this.#plan();
  }
}
