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

import { Emitter } from "./emitter.js";
import { Line } from "./line.js";
import { randomId } from "./outbox.js";
import { Topic } from "./topic.js";

export { CLOSE_CODES, backoff } from "./line.js";
export { Positions, compareCursors } from "./positions.js";

/** @typedef {import("./topic.js").MeshEvent} MeshEvent */
/** @typedef {import("./topic.js").Storing} Storing */
/** @typedef {import("./line.js").ConnectionState} ConnectionState */
/** @typedef {import("./line.js").Socket} Socket */
/** @typedef {import("./outbox.js").Ack} Ack */
/** @typedef {import("./outbox.js").SendError} SendError */

/**
 * @typedef {object} FollowOptions
 * @property {string} [since]          positions to resume from, such as `Rk3f-120.Sp9a-88`
 * @property {number} [history]        without positions: the newest n events first
 * @property {string[]} [types]        only these event types
 * @property {Storing | null} [storage]  keeps positions over a reload, e.g. `sessionStorage`
 */

/**
 * @typedef {object} MeshOptions
 * @property {string | URL} [base]     where topics and paths are resolved against; by default the page's origin
 */

/** @typedef {FollowOptions & MeshOptions & import("./line.js").LineOptions} ConnectOptions */
/** @typedef {MeshOptions & import("./line.js").LineOptions} OpenOptions */

const TOPIC = /^(events|council|(chat|agent)_[A-Za-z0-9_-]{1,64})$/;

/**
 * The address of a topic's socket, and of the one for many topics.
 *
 * @param {string} target  a topic (`events`, `council`, `chat_<session>`, `agent_<id>`), a path (`/ws/events`) or a URL;
 *   empty for many topics
 * @param {string | URL | undefined} base
 * @param {Record<string, string | number | undefined>} [query]  what is undefined or empty is left out
 * @returns {string}
 */
export function socketUrl(target, base, query = {}) {
  const parts = target ? ["ws", ...target.split(/_(.*)/s, 2)] : ["ws"];
  const route = /[/:]/.test(target) ? target : parts.map(encodeURIComponent).join("/");
  const root = base ?? (globalThis.location && `${location.origin}/`);
  if (!root && !/^\w+:/.test(target)) throw new TypeError(`connect("${target}") needs a whole URL, or a base, outside a page`);
  const url = new URL(route, root);
  url.protocol = url.protocol.replace("http", "ws");
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, String(value));
  return url.href;
}

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
 * What a connection and a mesh have in common.
 *
 * `on` takes an event type (`chat.message`), `*` for every event of the mesh, or one of the connection's own: `state`
 * ({@link ConnectionState}), `recovered` and `gap` (their payloads), `error` (a message of the server's).
 */
class Lined extends Emitter {
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

/**
 * Follow many topics over one connection. It looks after itself until `close()`.
 *
 * @param {OpenOptions} [options]
 * @returns {Mesh}
 */
export function open(options = {}) {
  return new Mesh(options);
}

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
  #failed({ id = "", message = "" }) {
    const name = id.slice(1);
    if (id[0] === "-") return this.#ended(name);
    if (id[0] === "+") this.#topics.get(name)?.enter({ state: "failed", reason: message, retryInMs: null, degraded: false });
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

/** A topic of a {@link Mesh}, and all who follow it. */
class Shared {
  /** @type {Set<Following>} */ #followers = new Set();
  /** @type {ConnectionState} */ state = { state: "connecting", reason: "", retryInMs: null, degraded: false };
  #wasConnected = false;
  topic;
  types;
  history;

  /**
   * @param {string} path
   * @param {FollowOptions} options
   */
  constructor(path, options) {
    this.types = options.types;
    this.history = options.history;
    this.topic = new Topic((type, event) => this.#tell(type, event), path, options);
  }

  /**
   * Have it carry these types too.
   *
   * @param {string[]} [types]  by default all
   * @returns {boolean} whether that is more than before
   */
  widen(types) {
    if (!this.types || types?.every((type) => this.types?.includes(type))) return false;
    this.types = types && [...new Set([...this.types, ...types])];
    return true;
  }

  get isFollowed() {
    return this.#followers.size > 0;
  }

  wasConnected = () => this.#wasConnected;

  /** @param {ConnectionState} state */
  enter = (state) => {
    this.#wasConnected ||= state.state === "connected";
    this.state = Object.freeze({ ...state });
    this.#tell("state", this.state);
  };

  /** @param {Following} following */
  join(following) {
    this.#followers.add(following);
  }

  /** @param {Following} following */
  leave(following) {
    this.#followers.delete(following);
  }

  /** @param {string} type @param {any} event */
  #tell(type, event) {
    for (const following of [...this.#followers]) following.tell(type, event);
  }
}

/** One's own hold on a topic that is followed; made by `Mesh.follow`. `on` takes what that of `Connection` does. */
export class Following extends Emitter {
  #shared;
  #types;
  #left;

  /**
   * @param {Shared} shared
   * @param {string[] | undefined} types
   * @param {() => void} left
   */
  constructor(shared, types, left) {
    super();
    this.#shared = shared;
    this.#types = types && new Set(types);
    this.#left = left;
  }

  /** How it stands now. */
  get state() {
    return this.#shared.state;
  }

  /** The positions reached. */
  get since() {
    return this.#shared.topic.since;
  }

  /** @param {string} type @param {any} event */
  tell(type, event) {
    if (!event.event_type || !this.#types || this.#types.has(event.event_type)) this._emit(type, event);
  }

  /** Follow it no longer. Who else follows it goes on. */
  close() {
    this._deafen();
    this.#shared.leave(this);
    this.#left();
  }
}
