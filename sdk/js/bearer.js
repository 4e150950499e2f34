/** The token of a connection: asked for, and shown anew before it expires. */

const LEAD_MS = 60_000;
const LEAST_MS = 500;
// The timers of a page that sleeps stand still, and none is longer than 24 days.
const LOOK_EVERY_MS = 30_000;

/**
 * What a token says.
 *
 * @param {string} token  a JSON Web Token
 * @returns {Record<string, any>} nothing where it is none
 */
export function claimsOf(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"))) ?? {};
  } catch {
    return {};
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
    const left = claimsOf(this.#token ?? "").exp * 1_000 - this.#ahead - Date.now();
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
