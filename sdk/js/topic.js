/** One topic as its application hears it: each event once and in order, from a position that is kept. No socket. */

import { Positions } from "./positions.js";

/**
 * One event as the server sends it. `prev` is on live frames only; notices have no `cursor`.
 *
 * @typedef {object} MeshEvent
 * @property {string} event_type       such as `chat.message`
 * @property {Record<string, any>} payload
 * @property {string} [id]             of the publisher's
 * @property {string} [timestamp]      RFC 3339, UTC
 * @property {string} [subject]        such as `chat.s1.message`
 * @property {string} [topic]          what the socket follows, such as `chat_s1`
 * @property {string} [cursor]         the event's position, such as `Rk3f-120`
 * @property {string} [prev]           the cursor before it in the same stream and topic
 */

/** @typedef {Pick<Storage, "getItem" | "setItem">} Storing */

/**
 * @typedef {object} FollowOptions
 * @property {string} [since]          positions to resume from, such as `Rk3f-120.Sp9a-88`
 * @property {number} [history]        without positions: the newest n events first
 * @property {string[]} [types]        only these event types
 * @property {Storing | null} [storage]  keeps positions over a reload, e.g. `sessionStorage`
 */

const SAVE_EVERY_MS = 250;

export class Topic {
  /** @type {Positions} */ #positions;
  /** @type {any} */ #saveTimer;
  #wasGreeted = false;
  #owed = false;
  #key;
  #storage;
  #emit;

  /**
   * @param {(type: string, event: any) => void} emit
   * @param {string} path                            such as `/ws/chat/s1`
   * @param {{ since?: string, storage?: Storing | null }} options
   */
  constructor(emit, path, { since, storage }) {
    this.#emit = emit;
    this.#key = `mesh:${path}`;
    this.#storage = storage;
    this.#positions = new Positions(since ?? this.#load());
  }

  /** The positions reached. */
  get since() {
    return this.#positions.since;
  }

  /** It is about to be asked for. @returns {string} from where on */
  begin() {
    const { since } = this;
    this.#owed = since !== "";
    this.#wasGreeted = false;
    return since;
  }

  /**
   * Take the greeting, and later ones: who resumes is greeted before what was missed and after it; later ones tell of the
   * server's state.
   *
   * @param {Record<string, any>} payload
   * @returns {{ arrived: boolean, degraded: boolean, told: () => void }}  `told` is to be called once the state is known
   */
  greeted(payload) {
    if (payload.cursors) this.#positions.start(payload.cursors);
    const degraded = payload.status === "degraded";
    this.#wasGreeted ||= degraded || payload.recovered;
    this.#owed ||= degraded;
    const told = () => {
      if (!this.#owed || !payload.recovered) return;
      this.#owed = false;
      this.#emit("recovered", payload);
    };
    return { arrived: this.#wasGreeted, degraded, told };
  }

  /**
   * Take a frame that is a gap or an event.
   *
   * @param {any} frame
   * @returns {boolean} false where something did not arrive: it is to be resumed from `since`
   */
  take(frame) {
    if (frame.event_type === "gap") {
      this.#positions.skip(frame.payload?.to);
      this.#emit("gap", frame.payload ?? {});
      return true;
    }
    const from = this.since;
    const verdict = this.#positions.take(frame);
    if (verdict === "known" || verdict === "broken") return verdict === "known";
    if (verdict === "lost") this.#emit("gap", { from, to: frame.cursor, reason: "chain" });
    this.#saveTimer ??= setTimeout(() => this.save(), SAVE_EVERY_MS);
    this.#emit(frame.event_type, frame);
    this.#emit("*", frame);
    return true;
  }

  save() {
    clearTimeout(this.#saveTimer);
    this.#saveTimer = undefined;
    try {
      this.#storage?.setItem(this.#key, this.since);
    } catch {
      // full or forbidden, as below
    }
  }

  #load() {
    try {
      return this.#storage?.getItem(this.#key);
    } catch {
      return null; // storage may be forbidden; resuming within this page still works
    }
  }
}
