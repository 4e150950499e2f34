/**
 * The mesh's client for browsers and Node: one module, no dependencies.
 *
 *     import { connect } from "/sdk/mesh.js";
 *     const chat = connect("chat_s1");
 *     chat.on("chat.message", (event) => console.log(event.payload.sender, event.payload.content));
 *     chat.on("state", ({ state, reason, retryInMs }) => console.log(state, reason, retryInMs));
 *
 * Every event arrives once and in the order of its stream, over reconnects too: the connection keeps the newest cursor
 * of each stream and resumes from there. What could not be had any more is told as `gap`, never passed over in silence.
 *
 * @module
 */

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

/**
 * How the connection stands.
 *
 * - `connecting`: not connected yet; trying
 * - `connected`: live. `degraded` says that the server itself is cut off from the log for now
 * - `recovering`: was connected, is trying to resume; nothing is lost by it
 * - `disconnected`: closed by the application
 * - `failed`: refused for good; trying again would not help
 *
 * @typedef {object} ConnectionState
 * @property {"connecting" | "connected" | "recovering" | "disconnected" | "failed"} state
 * @property {string} reason           in words, for a log or a tooltip; empty where there is none
 * @property {number | null} retryInMs the wait before the next attempt; null where none is being waited for
 * @property {boolean} degraded
 */

/**
 * @typedef {object} ConnectOptions
 * @property {string | URL} [base]     where topics and paths are resolved against; by default the page's origin
 * @property {string} [since]          positions to resume from, such as `Rk3f-120.Sp9a-88`
 * @property {number} [history]        without positions: the newest n events first
 * @property {string[]} [types]        only these event types
 * @property {Pick<Storage, "getItem" | "setItem"> | null} [storage]  keeps positions over a reload, e.g. `sessionStorage`
 * @property {() => string | null | undefined | Promise<string | null | undefined>} [getToken]  asked before each attempt
 * @property {new (url: string, protocols: string[]) => WebSocket} [WebSocket]  another implementation than the global one
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
 * What was sent is not stored, or not known to be.
 *
 * @typedef {Error & { id: string, code: string, retry_after_ms?: number }} SendError  `code` is the server's, or `lost`
 */

/**
 * What to do when the server closes with one of these codes: nothing (`fail`), come back as its `reconnect` event told,
 * with a new token, or later than usual. Any other code, such as 4408 for too slow: resume after a back-off.
 *
 * @type {Readonly<Record<number, "fail" | "told" | "token" | "later">>}
 */
export const CLOSE_CODES = Object.freeze({
  1000: "fail", // done
  1002: "fail", // not the WebSocket protocol
  1003: "fail", // only text is understood
  1007: "fail", // not UTF-8
  1011: "later", // the edge failed
  1012: "told", // the edge restarts
  4400: "fail", // the request makes no sense
  4401: "token", // missing, wrong or expired
  4403: "fail", // not allowed
  4429: "later", // too many
});

const BACKOFF_FIRST_MS = 500;
const BACKOFF_MOST_MS = 20_000;
const STABLE_AFTER_MS = 2_000;
const HANDSHAKE_MS = 15_000;
// A dead network is noticed within 45 s: a ping after 15 to 20 s of silence, and 25 s for its answer.
const BEAT_MS = 5_000;
const PING_AFTER_MS = 15_000;
const PONG_WITHIN_MS = 20_000;
const PROBE_WITHIN_MS = 5_000;
const SAVE_EVERY_MS = 250;
const MOST_BREAKS = 3;
const MOST_REMEMBERED = 1_000;

const CURSOR = /^([A-Z])([a-z0-9]+)-(\d+)$/;

/**
 * The wait before attempt `attempt` (from 0), by full jitter: anything from nothing to a ceiling that doubles from
 * half a second to 20 s. (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.)
 *
 * @param {number} attempt
 * @param {() => number} [random]  in [0, 1)
 * @returns {number} milliseconds
 */
export function backoff(attempt, random = Math.random) {
  return random() * Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** attempt);
}

/**
 * Compare two cursors: below 0 where `a` is older, 0 where they are the same, above 0 where `a` is newer; NaN where
 * they cannot be compared, being of different streams or epochs.
 *
 * @param {string | undefined} a
 * @param {string | undefined} b
 * @returns {number}
 */
export function compareCursors(a, b) {
  const x = CURSOR.exec(a ?? "");
  const y = CURSOR.exec(b ?? "");
  if (!x || !y || x[1] !== y[1] || x[2] !== y[2]) return NaN;
  // As text: a sequence may exceed what a number holds exactly.
  return x[3].length - y[3].length || Number(x[3] > y[3]) - Number(x[3] < y[3]);
}

/** Where an application stands in each stream, and what the next frame means there. No I/O. */
export class Positions {
  /** @type {Map<string, string>} by a stream's letter, the newest cursor handed to the application */
  #seen = new Map();
  /** @type {Map<string, Set<string>>} by a stream's letter, the last cursors that were handed on */
  #recent = new Map();
  /** @type {Map<string, string>} by a stream's letter, the position behind which nothing is remembered */
  #floor = new Map();
  /** @type {Map<string, string>} by a stream's letter, from where the server said that live frames go on */
  #base = new Map();
  #breaks = 0;

  /** @param {string | null} [since] such as `Rk3f-120.Sp9a-88`; what is no cursor in it is left out */
  constructor(since) {
    for (const cursor of (since ?? "").split(".")) {
      if (CURSOR.test(cursor)) this.#seen.set(cursor[0], cursor);
    }
    this.#floor = new Map(this.#seen);
  }

  /** The positions as `since` takes them; empty where nothing is known yet. */
  get since() {
    return [...new Map([...this.#base, ...this.#seen]).values()].join(".");
  }

  /**
   * A socket was greeted with these positions, by stream letter.
   *
   * @param {Record<string, string>} cursors
   */
  start(cursors) {
    this.#base = new Map(Object.values(cursors).filter((cursor) => CURSOR.test(cursor)).map((c) => [c[0], c]));
  }

  /**
   * The server owes nothing before `to` any more.
   *
   * @param {string | undefined} to
   */
  skip(to) {
    if (!to || !CURSOR.test(to)) return;
    this.#seen.delete(to[0]);
    this.#recent.delete(to[0]);
    this.#floor.set(to[0], to);
    this.#base.set(to[0], to);
  }

  /**
   * Judge a frame, and stand on it unless it is `known` or `broken`.
   *
   * - `new`: hand it on
   * - `known`: was handed on before
   * - `broken`: something before it did not arrive; resume from `since`
   * - `lost`: resuming did not bring what is missing either; hand it on and tell of the gap
   *
   * @param {{ cursor?: string, prev?: string }} frame
   * @returns {"new" | "known" | "broken" | "lost"}
   */
  take({ cursor, prev }) {
    if (!cursor) return "new";
    const letter = cursor[0];
    const seen = this.#seen.get(letter);
    const base = this.#base.get(letter);
    if (compareCursors(cursor, seen) <= 0) return this.#isLate(cursor) ? "new" : "known";
    const whole =
      !prev || (!seen && !base) || compareCursors(prev, seen) <= 0 || compareCursors(prev, base) <= 0;
    if (!whole && ++this.#breaks < MOST_BREAKS) return "broken";
    // A replayed frame proves nothing: the break may come again right after it.
    if (prev) this.#breaks = 0;
    this.#seen.set(letter, cursor);
    this.#remember(letter, cursor);
    return whole ? "new" : "lost";
  }

  /**
   * An edge that finds a loss after it has shown later events shows what was lost then. So an older cursor is not known
   * by being older, only by having been here.
   *
   * @param {string} cursor
   */
  #isLate(cursor) {
    const letter = cursor[0];
    if (this.#recent.get(letter)?.has(cursor) || !(compareCursors(cursor, this.#floor.get(letter)) > 0)) return false;
    this.#remember(letter, cursor);
    return true;
  }

  /**
   * @param {string} letter
   * @param {string} cursor
   */
  #remember(letter, cursor) {
    const recent = this.#recent.get(letter) ?? new Set();
    this.#recent.set(letter, recent.add(cursor));
    // What is older than all that a connection has brought was not missing in it.
    if (!this.#floor.has(letter)) this.#floor.set(letter, this.#base.get(letter) ?? cursor);
    if (recent.size <= MOST_REMEMBERED) return;
    const [oldest] = recent;
    recent.delete(oldest);
    if (!(compareCursors(oldest, this.#floor.get(letter)) <= 0)) this.#floor.set(letter, oldest);
  }
}

/**
 * The address of a topic's socket.
 *
 * @param {string} target  a topic (`events`, `council`, `chat_<session>`, `agent_<id>`), a path (`/ws/events`) or a URL
 * @param {string | URL | undefined} base
 * @param {Record<string, string | number | undefined>} [query]  what is undefined or empty is left out
 * @returns {string}
 */
export function socketUrl(target, base, query = {}) {
  const route = /[/:]/.test(target)
    ? target
    : `ws/${target.split(/_(.*)/s, 2).map(encodeURIComponent).join("/")}`;
  const root = base ?? (globalThis.location && `${location.origin}/`);
  if (!root && !/^\w+:/.test(target)) throw new TypeError(`connect("${target}") needs a whole URL, or a base, outside a page`);
  const url = new URL(route, root);
  url.protocol = url.protocol.replace("http", "ws");
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, String(value));
  return url.href;
}

/** 128 random bits; `crypto.randomUUID` is for secure contexts alone. */
function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {{ id: string, code: string, message: string, retry_after_ms?: number }} payload
 * @returns {SendError}
 */
function sendError(payload) {
  return Object.assign(new Error(payload.message), payload);
}

/**
 * Follow a topic. The connection looks after itself until `close()`.
 *
 * @param {string} target  a topic (`events`, `council`, `chat_<session>`, `agent_<id>`), a path (`/ws/events`) or a URL
 * @param {ConnectOptions} [options]
 * @returns {Connection}
 */
export function connect(target, options = {}) {
  return new Connection(target, options);
}

/** One followed topic; made by `connect`. */
export class Connection {
  /** @type {string} */ #target;
  /** @type {ConnectOptions} */ #options;
  /** @type {Positions} */ #positions;
  /** @type {Map<string, Set<(event: any) => void>>} */ #listeners = new Map();
  /** @type {ConnectionState} */ #state = { state: "connecting", reason: "", retryInMs: null, degraded: false };
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {Map<string, { promise: Promise<Ack>, resolve: (ack: Ack) => void, reject: (error: Error) => void }>} */
  #sent = new Map();
  /** @type {Array<() => void>} */ #watches = [];
  #key;
  #attempt = 0;
  #turn = 0;
  #wasConnected = false;
  #owed = false;
  #connectedAt = 0;
  #heardAt = 0;
  #pingedAt = 0;
  #toldAt = 0;
  /** @type {any} */ #retryTimer;
  /** @type {any} */ #handshakeTimer;
  /** @type {any} */ #beatTimer;
  /** @type {any} */ #saveTimer;

  /**
   * @param {string} target
   * @param {ConnectOptions} options
   */
  constructor(target, options) {
    this.#target = target;
    this.#options = options;
    this.#key = `mesh:${new URL(socketUrl(target, options.base)).pathname}`;
    this.#positions = new Positions(options.since ?? this.#load());
    this.#watch(globalThis, "online", () => this.#wake());
    this.#watch(globalThis, "offline", () => this.#drop("offline"));
    this.#watch(globalThis, "pageshow", () => this.#wake());
    this.#watch(globalThis, "pagehide", () => {
      this.#save();
      this.#drop("the page was left"); // it may come back from the browser's cache, long after
    });
    this.#watch(globalThis.document, "visibilitychange", () => {
      if (document.visibilityState === "visible") this.#wake();
    });
    this.#open();
  }

  /** How the connection stands now. */
  get state() {
    return this.#state;
  }

  /** The positions reached, for a later `connect(…, { since })`. */
  get since() {
    return this.#positions.since;
  }

  /**
   * Listen. `type` is an event type (`chat.message`), `*` for every event of the mesh, or one of the connection's own:
   * `state` ({@link ConnectionState}), `recovered` and `gap` (their payloads), `error` (a message of the server's).
   *
   * @param {string} type
   * @param {(event: any) => void} listener
   * @returns {() => void} takes the listener away again
   */
  on(type, listener) {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /**
   * Send an event, such as `send("chat.s1.message", { sender: "ada", content: "Hello!" })`; resolves once it is stored.
   *
   * Nothing is queued. What is refused, or cannot be sent now, or was under way when the connection was lost, rejects
   * with a {@link SendError}. Sent again with the same `id` it is stored once.
   *
   * @param {string} subject
   * @param {Record<string, any>} payload
   * @param {{ id?: string }} [options]  by default a random id
   * @returns {Promise<Ack>}
   */
  send(subject, payload, { id = randomId() } = {}) {
    const known = this.#sent.get(id);
    if (known) return known.promise;
    if (this.#socket?.readyState !== 1) return Promise.reject(sendError({ id, code: "lost", message: "not connected" }));
    /** @type {any} */
    const sent = {};
    sent.promise = new Promise((resolve, reject) => Object.assign(sent, { resolve, reject }));
    this.#sent.set(id, sent);
    this.#socket.send(JSON.stringify({ type: "send", id, subject, payload }));
    return sent.promise;
  }

  /** End it. Nothing is heard afterwards. */
  close() {
    this.#save();
    this.#leave(1000);
    clearTimeout(this.#retryTimer);
    for (const unwatch of this.#watches.splice(0)) unwatch();
    if (this.#state.state !== "failed") this.#enter("disconnected", "closed");
    this.#listeners.clear();
  }

  async #open() {
    const turn = ++this.#turn;
    clearTimeout(this.#retryTimer);
    const { base, getToken, history, types, WebSocket: Socket = globalThis.WebSocket } = this.#options;
    const since = this.#positions.since;
    this.#enter(this.#wasConnected ? "recovering" : "connecting", this.#state.reason);
    try {
      const token = await getToken?.();
      if (turn !== this.#turn) return;
      this.#owed = since !== "";
      const url = socketUrl(this.#target, base, {
        since,
        history: since ? undefined : history,
        types: types?.join(","),
      });
      const socket = new Socket(url, token ? ["mesh.v1", `bearer.${token}`] : []);
      this.#socket = socket;
      socket.onmessage = ({ data }) => socket === this.#socket && this.#receive(data);
      socket.onclose = ({ code, reason }) => socket === this.#socket && this.#lost(code, reason);
    } catch (error) {
      if (turn === this.#turn) this.#lost(0, String(error));
      return;
    }
    this.#handshakeTimer = setTimeout(() => this.#drop("no greeting"), HANDSHAKE_MS);
  }

  /** @param {string} data */
  #receive(data) {
    this.#heardAt = Date.now();
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      // told below
    }
    if (!frame?.event_type) return this.#emit("error", { code: "bad-frame", message: "the server sent no event" });
    const payload = frame.payload ?? {};
    switch (frame.event_type) {
      case "connection":
        return this.#greeted(payload);
      case "pong":
        return;
      case "reconnect":
        this.#toldAt = Date.now() + (payload.after_ms ?? 0);
        return;
      case "ack":
        return this.#settle(payload.id)?.resolve(payload);
      case "error": {
        const sent = this.#settle(payload.id);
        return sent ? sent.reject(sendError(payload)) : this.#emit("error", frame.payload ?? frame);
      }
      case "gap":
        this.#positions.skip(payload.to);
        return this.#emit("gap", payload);
    }
    const from = this.#positions.since;
    const verdict = this.#positions.take(frame);
    if (verdict === "known") return;
    if (verdict === "broken") return this.#drop("an event did not arrive");
    if (verdict === "lost") this.#emit("gap", { from, to: frame.cursor, reason: "chain" });
    this.#saveTimer ??= setTimeout(() => this.#save(), SAVE_EVERY_MS);
    this.#emit(frame.event_type, frame);
    this.#emit("*", frame);
  }

  /**
   * A socket that resumes is greeted twice, before what it missed and after. Later greetings tell of the server's state.
   *
   * @param {Record<string, any>} payload
   */
  #greeted(payload) {
    if (payload.cursors) this.#positions.start(payload.cursors);
    if (!this.#connectedAt) {
      clearTimeout(this.#handshakeTimer);
      this.#connectedAt = Date.now();
      this.#beatTimer = setInterval(() => this.#beat(), BEAT_MS);
    }
    const degraded = payload.status === "degraded";
    const arrived = degraded || payload.recovered || this.#state.state === "connected";
    this.#wasConnected = true;
    this.#owed ||= degraded;
    this.#enter(arrived ? "connected" : "recovering", arrived ? "" : "catching up", null, degraded);
    if (!this.#owed || !payload.recovered) return;
    this.#owed = false;
    this.#emit("recovered", payload);
  }

  /**
   * The socket is gone: fail for good, or wait and try again.
   *
   * @param {number} code
   * @param {string} reason
   */
  #lost(code, reason) {
    this.#leave();
    const rule = CLOSE_CODES[code];
    if (rule === "fail" || (rule === "token" && !this.#options.getToken)) {
      return this.#enter("failed", reason || `refused (${code})`);
    }
    if (this.#connectedAt && Date.now() - this.#connectedAt > STABLE_AFTER_MS) this.#attempt = 0;
    this.#connectedAt = 0;
    const wait =
      rule === "told" && this.#toldAt
        ? Math.max(0, this.#toldAt - Date.now())
        : backoff(this.#attempt + (rule === "later" ? 6 : 0));
    this.#toldAt = 0;
    this.#attempt += 1;
    this.#enter(this.#wasConnected ? "recovering" : "connecting", reason || `closed (${code})`, Math.round(wait));
    this.#retryTimer = setTimeout(() => this.#open(), wait);
  }

  /** @param {string} id */
  #settle(id) {
    const sent = this.#sent.get(id);
    this.#sent.delete(id);
    return sent;
  }

  /** Give the socket up, without waiting for its close. @param {string} reason */
  #drop(reason) {
    if (this.#socket) this.#lost(0, reason);
  }

  /** @param {number} [code] */
  #leave(code) {
    const socket = this.#socket;
    this.#socket = null;
    this.#turn += 1;
    clearTimeout(this.#handshakeTimer);
    clearInterval(this.#beatTimer);
    for (const id of [...this.#sent.keys()]) {
      this.#settle(id)?.reject(sendError({ id, code: "lost", message: "the connection was lost" }));
    }
    socket?.close(code);
  }

  /** The network may be back, or the page awake: no waiting now, and no trust in an open socket. */
  #wake() {
    if (this.#state.retryInMs !== null) return void this.#open();
    if (this.#state.state !== "connected" || Date.now() - this.#heardAt < BEAT_MS) return;
    const socket = this.#socket;
    this.#ping();
    setTimeout(() => {
      if (socket === this.#socket && this.#heardAt < this.#pingedAt) this.#drop("silent");
    }, PROBE_WITHIN_MS);
  }

  #beat() {
    const now = Date.now();
    if (this.#pingedAt > this.#heardAt) {
      if (now - this.#pingedAt >= PONG_WITHIN_MS) this.#drop("silent");
    } else if (now - this.#heardAt >= PING_AFTER_MS) {
      this.#ping();
    }
  }

  #ping() {
    this.#pingedAt = Date.now();
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify({ type: "ping", timestamp: this.#pingedAt }));
  }

  /**
   * @param {ConnectionState["state"]} state
   * @param {string} reason
   * @param {number | null} [retryInMs]
   * @param {boolean} [degraded]
   */
  #enter(state, reason, retryInMs = null, degraded = false) {
    this.#state = Object.freeze({ state, reason, retryInMs, degraded });
    this.#emit("state", this.#state);
  }

  /**
   * @param {string} type
   * @param {unknown} event
   */
  #emit(type, event) {
    for (const listener of this.#listeners.get(type) ?? []) {
      try {
        listener(event);
      } catch (error) {
        // An application's mistake is its own to see; it must not stop the events after it.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /**
   * @param {EventTarget | undefined} target
   * @param {string} type
   * @param {() => void} handler
   */
  #watch(target, type, handler) {
    if (!target?.addEventListener) return;
    target.addEventListener(type, handler);
    this.#watches.push(() => target.removeEventListener(type, handler));
  }

  #load() {
    try {
      return this.#options.storage?.getItem(this.#key);
    } catch {
      return null; // storage may be forbidden; resuming within this page still works
    }
  }

  #save() {
    clearTimeout(this.#saveTimer);
    this.#saveTimer = undefined;
    try {
      this.#options.storage?.setItem(this.#key, this.#positions.since);
    } catch {
      // full or forbidden, as above
    }
  }
}
