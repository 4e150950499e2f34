/** A topic that several parts of an application follow over one socket, and each one's own hold on it. No socket. */

import { Emitter } from "./emitter.js";
import { Topic } from "./topic.js";

/** @typedef {import("./line.js").ConnectionState} ConnectionState */
/** @typedef {import("./topic.js").FollowOptions} FollowOptions */

/** A topic of a mesh, and all who follow it. */
export class Shared {
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
