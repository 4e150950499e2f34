/** The life of one socket: opened, watched, lost, and opened again. What it carries is its owner's. */

import { CLOSE_CODES, backoff } from "./closing.js";
import { Outbox } from "./outbox.js";
import { Pace } from "./pace.js";

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
 * What carries frames: a `WebSocket`, or what behaves like one.
 *
 * @typedef {object} Socket
 * @property {number} readyState
 * @property {any} onmessage
 * @property {any} onclose
 * @property {(text: string) => void} send
 * @property {(code?: number) => void} close
 */

/** @typedef {new (url: string, protocols: string[]) => Socket} SocketClass */

/**
 * @typedef {object} LineOptions
 * @property {() => string | null | undefined | Promise<string | null | undefined>} [getToken]  asked before each attempt
 * @property {SocketClass} [WebSocket]  another implementation than the global one
 * @property {boolean} [fallback]       whether to go on by server-sent events where WebSockets are blocked; by default true
 * @property {number} [queue]           how many messages may wait to be stored; by default 1000
 */

/**
 * @typedef {object} Owner
 * @property {() => string} address                      of the next attempt
 * @property {(state: ConnectionState) => void} entered
 * @property {(payload: Record<string, any>) => void} greeted
 * @property {(frame: any) => void} took                 a frame that is not the line's own
 * @property {(what: object) => void} failed             what the server did not understand
 * @property {() => void} left                           the page is left, or the line closed: positions are to be kept
 */

const TOO_BIG = 1009;
const STABLE_AFTER_MS = 2_000;
const HANDSHAKE_MS = 15_000;
// A dead network is noticed within 45 s: a ping after 15 to 20 s of silence, and 25 s for its answer.
const BEAT_MS = 5_000;
const PING_AFTER_MS = 15_000;
const PONG_WITHIN_MS = 20_000;
const PROBE_WITHIN_MS = 5_000;
const BLOCKED_AFTER = 2;

/**
 * Whether plain HTTP comes through to where a socket could not be opened. An answer that asks to come later says nothing.
 *
 * @param {string} url  of the socket
 */
async function isReachable(url) {
  const address = new URL(url.replace("ws", "http"));
  address.search = "";
  const { status } = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(5_000) });
  return status < 500 && status !== 429;
}

export class Line {
  /** @type {ConnectionState} */ state = Object.freeze({ state: "connecting", reason: "", retryInMs: null, degraded: false });
  #outbox;
  /** @type {Socket | null} */ #socket = null;
  /** @type {SocketClass | undefined} */ #fallback;
  /** @type {Array<() => void>} */ #watches = [];
  #pace = new Pace((text) => this.#socket?.send(text));
  #owner;
  #options;
  #attempt = 0;
  #turn = 0;
  #blocked = 0;
  #wasConnected = false;
  #isGreeted = false;
  #connectedAt = 0;
  #heardAt = 0;
  #pingedAt = 0;
  #toldAt = 0;
  /** @type {any} */ #retryTimer;
  /** @type {any} */ #handshakeTimer;
  /** @type {any} */ #beatTimer;

  /**
   * @param {Owner} owner
   * @param {LineOptions} options
   */
  constructor(owner, options) {
    this.#owner = owner;
    this.#options = options;
    this.#outbox = new Outbox((text) => this.write(text), options.queue);
  }

  start() {
    this.#watch(globalThis, "online", () => this.#wake());
    this.#watch(globalThis, "offline", () => this.drop("offline"));
    this.#watch(globalThis, "pageshow", () => this.#wake());
    this.#watch(globalThis, "pagehide", () => {
      this.#owner.left();
      this.drop("the page was left"); // it may come back from the browser's cache, long after
    });
    this.#watch(globalThis.document, "visibilitychange", () => {
      if (document.visibilityState === "visible") this.#wake();
    });
    this.#open();
  }

  /** How many messages wait to be stored. */
  get waiting() {
    return this.#outbox.size;
  }

  /**
   * @param {string} subject
   * @param {Record<string, any>} payload
   * @param {string} id
   */
  send(subject, payload, id) {
    const promise = this.#outbox.add(subject, payload, id);
    this.#flush();
    return promise;
  }

  /**
   * Write a message, no faster than the server takes them.
   *
   * @param {string} text
   * @returns {boolean} false where there is no connection
   */
  write(text) {
    if (!this.#isGreeted || this.#socket?.readyState !== 1) return false;
    this.#pace.write(text);
    return true;
  }

  /** End it. */
  close() {
    this.#owner.left();
    this.#leave(1000);
    clearTimeout(this.#retryTimer);
    for (const unwatch of this.#watches.splice(0)) unwatch();
    this.#outbox.end("the connection was closed");
    if (this.state.state !== "failed") this.enter("disconnected", "closed");
  }

  /** Give the socket up, without waiting for its close. @param {string} reason */
  drop(reason) {
    if (this.#socket) this.#lost(0, reason);
  }

  /**
   * @param {ConnectionState["state"]} state
   * @param {string} [reason]
   * @param {number | null} [retryInMs]
   * @param {boolean} [degraded]
   */
  enter(state, reason = "", retryInMs = null, degraded = false) {
    this.state = Object.freeze({ state, reason, retryInMs, degraded });
    this.#owner.entered(this.state);
  }

  async #open() {
    const turn = ++this.#turn;
    clearTimeout(this.#retryTimer);
    this.enter(this.#wasConnected ? "recovering" : "connecting", this.state.reason);
    try {
      const token = await this.#options.getToken?.();
      if (turn !== this.#turn) return;
      const Socket = this.#fallback ?? this.#options.WebSocket ?? globalThis.WebSocket;
      const socket = new Socket(this.#owner.address(), token ? ["mesh.v1", `bearer.${token}`] : []);
      this.#socket = socket;
      socket.onmessage = (/** @type {{ data: string }} */ { data }) => socket === this.#socket && this.#receive(data);
      socket.onclose = (/** @type {{ code: number, reason: string }} */ { code, reason }) =>
        socket === this.#socket && this.#lost(code, reason);
    } catch (error) {
      if (turn === this.#turn) this.#lost(0, String(error));
      return;
    }
    this.#handshakeTimer = setTimeout(() => this.drop("no greeting"), HANDSHAKE_MS);
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
    if (!frame?.event_type) return this.#owner.failed({ code: "bad-frame", message: "the server sent no event" });
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
      case "error":
        if (this.#outbox.settle(frame, this.#socket?.constructor) || frame.event_type === "ack") return;
        return this.#owner.failed(frame.payload ?? frame);
      default:
        return this.#owner.took(frame);
    }
  }

  /** @param {Record<string, any>} payload */
  #greeted(payload) {
    const isFirst = !this.#isGreeted;
    if (isFirst) {
      clearTimeout(this.#handshakeTimer);
      this.#isGreeted = true;
      this.#connectedAt = Date.now();
      this.#beatTimer = setInterval(() => this.#beat(), BEAT_MS);
      this.#blocked = 0;
    }
    this.#wasConnected = true;
    this.#owner.greeted(payload);
    if (isFirst) this.#flush();
  }

  #flush() {
    this.#outbox.flush(this.#socket?.constructor);
  }

  /**
   * The socket is gone: fail for good, or wait and try again.
   *
   * @param {number} code
   * @param {string} reason
   */
  #lost(code, reason) {
    if (!this.#isGreeted && this.#socket && !this.#fallback && this.#options.fallback !== false) this.#suspect();
    this.#leave();
    this.#outbox.lost(code === TOO_BIG);
    const rule = CLOSE_CODES[code];
    if (rule === "fail" || (rule === "token" && !this.#options.getToken)) {
      this.#outbox.end(reason || `refused (${code})`);
      return this.enter("failed", reason || `refused (${code})`);
    }
    if (this.#isGreeted && Date.now() - this.#connectedAt > STABLE_AFTER_MS) this.#attempt = 0;
    this.#isGreeted = false;
    const wait =
      rule === "told" && this.#toldAt
        ? Math.max(0, this.#toldAt - Date.now())
        : backoff(this.#attempt + (rule === "later" ? 6 : 0));
    this.#toldAt = 0;
    this.#attempt += 1;
    this.enter(this.#wasConnected ? "recovering" : "connecting", reason || `closed (${code})`, Math.round(wait));
    this.#retryTimer = setTimeout(() => this.#open(), wait);
  }

  /** A WebSocket was never greeted. Where plain HTTP comes through at the same time, WebSockets are blocked. */
  async #suspect() {
    try {
      if (!(await isReachable(this.#owner.address()))) return;
      this.#blocked += 1;
      // Not before: a module that cannot be loaded once is never asked for again.
      if (this.#blocked >= BLOCKED_AFTER) this.#fallback = (await import("./sse.js")).SseSocket;
    } catch {
      // no HTTP either
    }
  }

  /** @param {number} [code] */
  #leave(code) {
    const socket = this.#socket;
    this.#socket = null;
    this.#turn += 1;
    this.#pace.reset();
    clearTimeout(this.#handshakeTimer);
    clearInterval(this.#beatTimer);
    socket?.close(code);
  }

  /** The network may be back, or the page awake: no waiting now, and no trust in an open socket. */
  #wake() {
    if (this.state.retryInMs !== null) return void this.#open();
    if (!this.#isGreeted || Date.now() - this.#heardAt < BEAT_MS) return;
    const socket = this.#socket;
    this.#ping();
    setTimeout(() => {
      if (socket === this.#socket && this.#heardAt < this.#pingedAt) this.drop("silent");
    }, PROBE_WITHIN_MS);
  }

  #beat() {
    const now = Date.now();
    if (this.#pingedAt > this.#heardAt) {
      if (now - this.#pingedAt >= PONG_WITHIN_MS) this.drop("silent");
    } else if (now - this.#heardAt >= PING_AFTER_MS) {
      this.#ping();
    }
  }

  #ping() {
    this.#pingedAt = Date.now();
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify({ type: "ping", timestamp: this.#pingedAt }));
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
}
