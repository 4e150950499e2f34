/**
 * The mesh's client for browsers and Node: no dependencies, no build step.
 *
 *     import { connect } from "/sdk/mesh.js";
 *     const chat = connect("chat_s1");
 *     chat.on("chat.message", (event) => console.log(event.payload.sender, event.payload.content));
 *     chat.on("state", ({ state, reason, retryInMs }) => console.log(state, reason, retryInMs));
 *     await chat.send("chat.s1.message", { sender: "ada", content: "Hello!" });
 *
 * Every event arrives once and in the order of its stream, over reconnects too: the connection keeps the newest cursor
 * of each stream and resumes from there. What could not be had any more is told as `gap`, never passed over in silence.
 * What is sent waits until the server has stored it, and is stored once.
 *
 * @module
 */

import { socketUrl } from "./address.js";
import { Lined } from "./lined.js";
import { Mesh } from "./many.js";
import { Topic } from "./topic.js";

export { socketUrl } from "./address.js";
export { CLOSE_CODES, backoff } from "./closing.js";
export { Mesh } from "./many.js";
export { Positions, compareCursors } from "./positions.js";
export { Following } from "./shared.js";

/** @typedef {import("./topic.js").MeshEvent} MeshEvent */
/** @typedef {import("./topic.js").FollowOptions} FollowOptions */
/** @typedef {import("./topic.js").Storing} Storing */
/** @typedef {import("./line.js").ConnectionState} ConnectionState */
/** @typedef {import("./line.js").Socket} Socket */
/** @typedef {import("./many.js").OpenOptions} OpenOptions */
/** @typedef {import("./outbox.js").Ack} Ack */
/** @typedef {import("./outbox.js").SendError} SendError */

/** @typedef {FollowOptions & OpenOptions} ConnectOptions */

/**
 * Follow a topic over a connection of its own. It looks after itself until `close()`.
 *
 * @param {string} target  a topic (`events`, `council`, `chat_<session>`, `agent_<id>`), a path (`/ws/events`) or a URL
 * @param {ConnectOptions} [options]
 * @returns {Connection}
 */
export function connect(target, options = {}) {
  return new Connection(target, options);
}

/**
 * Follow many topics over one connection. It looks after itself until `close()`.
 *
 * @param {OpenOptions} [options]
 * @returns {Mesh}
 */
export function open(options = {}) {
  return new Mesh(options);
}

/** One followed topic, with a socket of its own; made by `connect`. */
export class Connection extends Lined {
  #topic;

  /**
   * @param {string} target
   * @param {ConnectOptions} options
   */
  constructor(target, options) {
    super(options, {
      address: () => {
        const since = this.#topic.begin();
        const { base, history, types } = options;
        return socketUrl(target, base, { since, history: since ? undefined : history, types: types?.join(",") });
      },
      greeted: (payload) => {
        const { arrived, degraded, told } = this.#topic.greeted(payload);
        this._line.enter(arrived ? "connected" : "recovering", arrived ? "" : "catching up", null, degraded);
        told();
      },
      took: (frame) => this.#topic.take(frame) || this._line.drop("an event did not arrive"),
      left: () => this.#topic.save(),
    });
    const { pathname } = new URL(socketUrl(target, options.base));
    this.#topic = new Topic((type, event) => this._emit(type, event), pathname, options);
    this._line.start();
  }

  /** The positions reached, for a later `connect(…, { since })`. */
  get since() {
    return this.#topic.since;
  }
}
