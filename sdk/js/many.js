/** Many topics on one socket: which are followed, and what comes for each. */

import { socketUrl } from "./address.js";
import { Lined } from "./lined.js";
import { Following, Shared } from "./shared.js";

/** @typedef {import("./line.js").ConnectionState} ConnectionState */
/** @typedef {import("./topic.js").FollowOptions} FollowOptions */

/**
 * @typedef {object} MeshOptions
 * @property {string | URL} [base]     where topics and paths are resolved against; by default the page's origin
 */

/** @typedef {MeshOptions & import("./line.js").LineOptions} OpenOptions */

const TOPIC = /^(events|council|(chat|agent)_[A-Za-z0-9_-]{1,64})$/;

/** Many topics on one socket, each followed once however many ask for it; made by `open`. */
export class Mesh extends Lined {
  /** @type {Map<string, Shared>} by topic */ #topics = new Map();
  /** @type {Map<string, number>} by topic, how many ends of it the server still has to tell */ #ending = new Map();
  #isOpen = false;
  #path;

  /** @param {OpenOptions} [options] */
  constructor(options = {}) {
    super(options, {
      address: () => socketUrl("", options.base),
      greeted: (payload) => this.#greeted(payload),
      entered: (state) => this.#entered(state),
      took: (frame) => this.#took(frame),
      failed: (what) => this.#failed(what),
      left: () => this.#topics.forEach(({ topic }) => topic.save()),
    });
    this.#path = new URL(socketUrl("", options.base)).pathname;
    this._line.start();
  }

  /**
   * Follow a topic, along with all others who do.
   *
   * The first to follow says from where on. Who comes later hears what comes from then on; where they ask for types that
   * nobody has asked for yet, some of what was before may come too.
   *
   * @param {string} name  `events`, `council`, `chat_<session>` or `agent_<id>`
   * @param {FollowOptions} [options]
   * @returns {Following}
   */
  follow(name, options = {}) {
    if (!TOPIC.test(name)) throw new TypeError(`follow("${name}"): there is no such topic`);
    let shared = this.#topics.get(name);
    if (!shared) {
      const path = `${this.#path}/${name.replace("_", "/")}`;
      shared = new Shared(path, options);
      this.#topics.set(name, shared);
      shared.enter(this.#isOpen ? { ...this.state, state: "connecting" } : this.state);
      this.#subscribe(name, shared);
    } else if (shared.widen(options.types)) this.#restart(name, shared, "more is asked for");
    const following = new Following(shared, options.types, () => this.#leave(name, shared));
    shared.join(following);
    return following;
  }

  /** Whether a topic is followed by anybody here. @param {string} name */
  follows(name) {
    return this.#topics.has(name);
  }

  /** @param {string} name @param {Shared} shared */
  #leave(name, shared) {
    if (this.#topics.get(name) !== shared || shared.isFollowed) return;
    shared.topic.save();
    this.#topics.delete(name);
    this.#unsubscribe(name);
  }

  /** @param {string} name @param {Shared} shared */
  #subscribe(name, shared) {
    if (!this.#isOpen) return;
    const since = shared.topic.begin() || undefined;
    const { types } = shared;
    const history = since ? undefined : shared.history;
    this._line.write(JSON.stringify({ type: "subscribe", id: `+${name}`, topic: name, since, history, types }));
  }

  /** @param {string} name */
  #unsubscribe(name) {
    if (!this.#isOpen || !this._line.write(JSON.stringify({ type: "unsubscribe", id: `-${name}`, topic: name }))) return;
    this.#ending.set(name, (this.#ending.get(name) ?? 0) + 1);
  }

  /** @param {ConnectionState} state */
  #entered(state) {
    if (state.state === "connected") return;
    this.#isOpen = false;
    for (const { enter, wasConnected } of this.#topics.values()) {
      enter(state.state === "recovering" && !wasConnected() ? { ...state, state: "connecting" } : state);
    }
  }

  /**
   * A greeting without a topic is that of the socket.
   *
   * @param {Record<string, any>} payload
   */
  #greeted(payload) {
    const name = payload.connection_id;
    if (name === undefined) {
      this.#isOpen = true;
      this.#ending.clear();
      this._line.enter("connected");
      for (const [topic, shared] of this.#topics) this.#subscribe(topic, shared);
      return;
    }
    // What comes until its end belongs to what was followed before.
    if (payload.status === "disconnected") return this.#ended(name);
    if (this.#ending.has(name)) return;
    const shared = this.#topics.get(name);
    if (!shared) return;
    const { arrived, degraded, told } = shared.topic.greeted(payload);
    const state = arrived ? "connected" : shared.wasConnected() ? "recovering" : "connecting";
    shared.enter({ state, reason: arrived ? "" : "catching up", retryInMs: null, degraded });
    told();
  }

  /** @param {string} name */
  #ended(name) {
    const ending = this.#ending.get(name) ?? 0;
    if (ending > 1) this.#ending.set(name, ending - 1);
    else this.#ending.delete(name);
  }

  /** What the server did not understand, or refused: of a topic where the id says so. @param {any} what */
  #failed({ id = "", message: reason = "", retry_after_ms: retryInMs = null }) {
    const name = id.slice(1);
    if (id[0] === "-") return this.#ended(name);
    const shared = id[0] === "+" && this.#topics.get(name);
    if (!shared) return;
    const state = retryInMs === null ? "failed" : shared.wasConnected() ? "recovering" : "connecting";
    shared.enter({ state, reason, retryInMs, degraded: false });
    if (retryInMs !== null) setTimeout(() => this.#retry(name, shared), retryInMs);
  }

  /** @param {string} name @param {Shared} shared */
  #retry(name, shared) {
    if (this.#topics.get(name) === shared && shared.state.retryInMs !== null) this.#subscribe(name, shared);
  }

  /** @param {any} frame */
  #took(frame) {
    const { topic: name } = frame;
    const shared = this.#topics.get(name);
    if (!shared || this.#ending.has(name) || shared.topic.take(frame)) return;
    this.#restart(name, shared, "an event did not arrive");
  }

  /**
   * Begin a topic anew, from where it stands, and no other.
   *
   * @param {string} name
   * @param {Shared} shared
   * @param {string} reason
   */
  #restart(name, shared, reason) {
    if (!this.#isOpen) return;
    shared.enter({ state: "recovering", reason, retryInMs: null, degraded: false });
    this.#unsubscribe(name);
    this.#subscribe(name, shared);
  }
}
