/** What components show, kept for as long as one of them shows it. No React, no page. */

import { open } from "../index.js";

/** @typedef {import("../index.js").OpenOptions} OpenOptions */
/** @typedef {import("../index.js").Mesh} Mesh */

/**
 * What is followed: a mesh, a chat, a task, an agent.
 *
 * @typedef {object} Thing
 * @property {(type: string, listener: (event: any) => void) => () => void} on
 * @property {() => void} close
 */

/**
 * How to follow something, and what of it is shown.
 *
 * @template {Thing} T
 * @template {Record<string, any>} S
 * @typedef {object} Kind
 * @property {(mesh: Mesh) => T} open
 * @property {(thing: T, error: object | null) => S} look
 */

/** @typedef {Hold<any, any>} AnyHold */

// Who comes back within a moment, as by StrictMode or on the way from page to page, finds everything as it was.
const LINGER_MS = 1_000;
// A screen shows no more than this, however many events there are.
const FRAME_MS = 16;
const FADING_MS = 1_000;

/**
 * The newer of two snapshots, with all that is the same taken over from the older.
 *
 * @template {Record<string, any>} S
 * @param {S | null} older
 * @param {S} newer
 * @returns {S}
 */
export function settle(older, newer) {
  if (!older) return newer;
  const same = (/** @type {any} */ a, /** @type {any} */ b) =>
    Object.is(a, b) || (Array.isArray(a) && a.length === b?.length && a.every((item, i) => Object.is(item, b[i])));
  const kept = Object.entries(newer).map(([name, value]) => [name, same(older[name], value) ? older[name] : value]);
  return kept.every(([name, value]) => Object.is(older[name], value)) ? older : Object.fromEntries(kept);
}

/**
 * One thing: there from the first subscriber on, and until a moment after the last.
 *
 * @template {Thing} T
 * @template {Record<string, any>} S
 */
class Hold {
  /** @type {T} */ thing;
  #kind;
  #ended;
  /** @type {Set<{ listener: () => void }>} */ #subscribers = new Set();
  /** @type {Array<() => void>} */ #deaf;
  /** @type {S | null} */ #snapshot = null;
  /** @type {object | null} */ #error = null;
  #isStale = true;
  /** @type {any} */ #ending;
  /** @type {any} */ #pausing;
  /** @type {any} */ #fading;

  /**
   * @param {T} thing
   * @param {Kind<T, S>} kind
   * @param {() => void} ended
   */
  constructor(thing, kind, ended) {
    this.thing = thing;
    this.#kind = kind;
    this.#ended = ended;
    const changed = () => this.#changed();
    const failed = (/** @type {object} */ error) => {
      this.#error = error;
      changed();
    };
    this.#deaf = [thing.on("change", changed), thing.on("state", changed), thing.on("error", failed)];
  }

  /** @param {() => void} listener @returns {() => void} */
  subscribe(listener) {
    const subscriber = { listener };
    clearTimeout(this.#ending);
    this.#subscribers.add(subscriber);
    return () => {
      if (!this.#subscribers.delete(subscriber) || this.#subscribers.size > 0) return;
      this.#ending = setTimeout(() => this.#end(), LINGER_MS);
    };
  }

  /** The same object until something is different. */
  get snapshot() {
    if (this.#isStale) this.#snapshot = settle(this.#snapshot, this.#kind.look(this.thing, this.#error));
    this.#isStale = false;
    return /** @type {S} */ (this.#snapshot);
  }

  /** Tell at once, and then once a frame. */
  #changed() {
    this.#isStale = true;
    if (this.#pausing === undefined) this.#tell();
  }

  #tell() {
    for (const { listener } of [...this.#subscribers]) listener();
    this.#pausing = setTimeout(() => {
      this.#pausing = undefined;
      if (this.#isStale) this.#tell();
    }, FRAME_MS);
    clearTimeout(this.#fading);
    // Nothing says that somebody types no more.
    if (this.snapshot.typing?.length) this.#fading = setTimeout(() => this.#changed(), FADING_MS);
  }

  #end() {
    for (const timer of [this.#pausing, this.#fading]) clearTimeout(timer);
    for (const off of this.#deaf) off();
    this.#ended();
  }
}

const MESH = {
  open: (/** @type {Mesh} */ mesh) => mesh,
  look: (/** @type {Mesh} */ mesh, /** @type {object | null} */ error) => ({ mesh, connection: mesh.state, error }),
};

/** A mesh, and all that is shown of it; each thing once, however many components show it. */
export class Shelf {
  /** @type {Map<string, AnyHold>} by kind and id */ #holds = new Map();
  #own;
  /** The newest there are: `getToken` may be another function with each rendering. @type {OpenOptions} */ options;

  /**
   * @param {OpenOptions} options
   * @param {Mesh} [own]  a mesh that is somebody's own, and is not closed here
   */
  constructor(options, own) {
    this.options = options;
    this.#own = own;
  }

  /** What is held under a key; nothing before the first component has subscribed. @param {string} key */
  held(key) {
    return this.#holds.get(key);
  }

  /** How many things are held. */
  get size() {
    return this.#holds.size;
  }

  /** @param {() => void} listener @returns {() => void} */
  subscribeToMesh(listener) {
    return this.#hold("mesh", () => {
      const mesh = this.#own ?? this.#open();
      return new Hold(mesh, MESH, () => {
        this.#holds.delete("mesh");
        if (!this.#own) mesh.close();
      });
    }).subscribe(listener);
  }

  /**
   * @param {string} key
   * @param {Kind<any, any>} kind
   * @param {() => void} listener
   * @returns {() => void}
   */
  subscribe(key, kind, listener) {
    return this.#hold(key, () => {
      const leaveMesh = this.subscribeToMesh(() => undefined);
      const thing = kind.open(this.#holds.get("mesh")?.thing);
      return new Hold(thing, kind, () => {
        this.#holds.delete(key);
        thing.close();
        leaveMesh();
      });
    }).subscribe(listener);
  }

  #open() {
    const { getToken } = this.options;
    return open({ ...this.options, ...(getToken && { getToken: () => this.options.getToken?.() }) });
  }

  /** @param {string} key @param {() => AnyHold} make */
  #hold(key, make) {
    const hold = this.#holds.get(key) ?? make();
    this.#holds.set(key, hold);
    return hold;
  }
}
