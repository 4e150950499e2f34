/** What a connection and a mesh have in common: a line, its state, and sending over it. */

import { Emitter } from "./emitter.js";
import { Line } from "./line.js";
import { randomId } from "./outbox.js";

/** @typedef {import("./line.js").ConnectionState} ConnectionState */
/** @typedef {import("./outbox.js").Ack} Ack */
/** @typedef {import("./outbox.js").SendError} SendError */

/**
 * What a connection and a mesh have in common.
 *
 * `on` takes an event type (`chat.message`), `*` for every event of the mesh, or one of the connection's own: `state`
 * ({@link ConnectionState}), `recovered` and `gap` (their payloads), `error` (a message of the server's).
 */
export class Lined extends Emitter {
  /** @protected @type {Line} */ _line;

  /**
   * @param {import("./line.js").LineOptions} options
   * @param {Omit<import("./line.js").Owner, "entered" | "failed"> & Partial<import("./line.js").Owner>} owner
   */
  constructor(options, owner) {
    super();
    this._line = new Line(
      {
        ...owner,
        entered: (state) => {
          owner.entered?.(state);
          this._emit("state", state);
        },
        failed: (what) => {
          owner.failed?.(what);
          this._emit("error", what);
        },
      },
      options,
    );
  }

  /** How the connection stands now. */
  get state() {
    return this._line.state;
  }

  /** How many messages wait to be stored. */
  get waiting() {
    return this._line.waiting;
  }

  /**
   * Send an event, such as `send("chat.s1.message", { sender: "ada", content: "Hello!" })`; resolves once it is stored.
   *
   * Without a connection it waits for one. After a loss it is sent again under the same id, and stored once. What is
   * refused rejects with a {@link SendError}.
   *
   * @param {string} subject
   * @param {Record<string, any>} payload
   * @param {{ id?: string }} [options]  by default a random id
   * @returns {Promise<Ack>}
   */
  send(subject, payload, { id = randomId() } = {}) {
    return this._line.send(subject, payload, id);
  }

  /** End it. Nothing is heard afterwards, and what still waits is not sent. */
  close() {
    this._line.close();
    this._deafen();
  }
}
