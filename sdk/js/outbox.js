/**
 * What is sent waits here until the server has stored it: in order, bounded, and sent again under the same id after a
 * connection was lost. No socket, no page.
 */

/**
 * What was sent is stored.
 *
 * @typedef {object} Ack
 * @property {string} id
 * @property {string} cursor        the event's position
 * @property {boolean} duplicate    it had been stored before, under the same id
 */

/**
 * What was sent is not stored, or (`lost`) not known to be. `code` is the server's, or
 *
 * - `full`: too much waits already
 * - `closed`: the connection was closed, or refused for good
 * - `lost`: it was sent, its answer never came, and it is too long ago to send it again: the server no longer knows the id
 *
 * @typedef {Error & { id: string, code: string, retry_after_ms?: number }} SendError
 */

/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {string} subject
 * @property {string} text            the message as it is sent
 * @property {unknown} by             what carried it first
 * @property {number | null} triedAt  when it was sent first
 * @property {boolean} isOut          sent, and not answered yet
 * @property {number} notBefore
 * @property {Promise<Ack>} promise
 * @property {(ack: Ack) => void} resolve
 * @property {(error: Error) => void} reject
 */

const MOST_WAITING = 1_000;
const MOST_OUT = 32; // an edge keeps 64 for a client
const MOST_BYTES = 65_536;
// The log remembers ids for 10 minutes.
const REMEMBERED_MS = 540_000;
const AGAIN = new Set(["not_stored", "too_many"]);

/** 128 random bits; `crypto.randomUUID` is for secure contexts alone. */
export function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {{ id: string, code: string, message: string, retry_after_ms?: number }} payload
 * @returns {SendError}
 */
function sendError(payload) {
  return Object.assign(new Error(payload.message), payload);
}

export class Outbox {
  /** @type {Map<string, Entry>} by id, in the order they were sent */
  #entries = new Map();
  /** @type {any} */ #timer;
  #end = "";
  #write;
  #most;

  /**
   * @param {(text: string) => boolean} write  hands a message to the connection; false where there is none
   * @param {number} [most]                    how many may wait
   */
  constructor(write, most = MOST_WAITING) {
    this.#write = write;
    this.#most = most;
  }

  /** How many wait. */
  get size() {
    return this.#entries.size;
  }

  /**
   * @param {string} subject
   * @param {Record<string, any>} payload
   * @param {string} id
   * @returns {Promise<Ack>}
   */
  add(subject, payload, id) {
    const known = this.#entries.get(id);
    if (known) return known.promise;
    const text = JSON.stringify({ type: "send", id, subject, payload });
    const refused =
      (this.#end && ["closed", this.#end]) ||
      (this.#entries.size >= this.#most && ["full", `${this.#most} messages wait already`]) ||
      (new TextEncoder().encode(text).length > MOST_BYTES && ["too_large", `a message has at most ${MOST_BYTES} bytes`]);
    if (refused) return Promise.reject(sendError({ id, code: refused[0], message: refused[1] }));
    /** @type {any} */
    const entry = { id, subject, text, by: null, triedAt: null, isOut: false, notBefore: 0 };
    entry.promise = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
    this.#entries.set(id, entry);
    return entry.promise;
  }

  /**
   * Send what may be sent now. Of each subject one message is under way at a time: what the server puts off must not be
   * overtaken by what follows it.
   *
   * @param {unknown} by  what carries it. Two kinds of connections do not know each other's ids
   */
  flush(by) {
    clearTimeout(this.#timer);
    const now = Date.now();
    const passed = new Set();
    let out = 0;
    let next = Infinity;
    for (const entry of this.#entries.values()) {
      if (passed.has(entry.subject) || out >= MOST_OUT) continue;
      if (!entry.isOut && entry.triedAt !== null && now - entry.triedAt > REMEMBERED_MS) {
        this.#refuse(entry, "lost", "no answer came, and the server no longer knows whether it has it");
        continue;
      }
      passed.add(entry.subject);
      if (!entry.isOut && entry.notBefore > now) next = Math.min(next, entry.notBefore - now);
      else if (!entry.isOut && (entry.triedAt === null || entry.by === by) && this.#write(entry.text)) {
        entry.by = by;
        entry.isOut = true;
        entry.triedAt ??= now;
      }
      out += Number(entry.isOut);
    }
    if (next < Infinity) this.#timer = setTimeout(() => this.flush(by), next);
  }

  /**
   * Take the server's answer.
   *
   * @param {{ event_type: string, payload?: any }} frame  an `ack`, or an `error` with an id
   * @param {unknown} by
   * @returns {boolean} whether it was for something that waits here
   */
  settle({ event_type: type, payload }, by) {
    const entry = this.#entries.get(payload?.id);
    if (!entry) return false;
    if (type === "ack") {
      this.#entries.delete(entry.id);
      entry.resolve(payload);
    } else if (AGAIN.has(payload.code)) {
      entry.isOut = false;
      entry.notBefore = Date.now() + (payload.retry_after_ms ?? 1_000);
    } else {
      this.#entries.delete(entry.id);
      entry.reject(sendError(payload));
    }
    this.flush(by);
    return true;
  }

  /**
   * The connection was lost: nothing is under way any more.
   *
   * @param {boolean} tooBig  the server closed because of a message's size: the largest must not come again
   */
  lost(tooBig) {
    clearTimeout(this.#timer);
    const out = [...this.#entries.values()].filter((entry) => entry.isOut);
    for (const entry of out) entry.isOut = false;
    const [largest] = out.sort((a, b) => b.text.length - a.text.length);
    if (tooBig && largest) this.#refuse(largest, "too_large", "this server takes no message as large");
  }

  /** Nothing is sent any more. @param {string} why */
  end(why) {
    clearTimeout(this.#timer);
    this.#end = why;
    for (const entry of this.#entries.values()) {
      entry.promise.catch(() => {}); // who closes does not have to wait for each
      this.#refuse(entry, "closed", why);
    }
  }

  /** @param {Entry} entry @param {string} code @param {string} message */
  #refuse(entry, code, message) {
    this.#entries.delete(entry.id);
    entry.reject(sendError({ id: entry.id, code, message }));
  }
}
