/** The life of one socket: opened, watched, lost, and opened again. What it carries is its owner's. */

import { Bearer } from "./bearer.js";
import { CLOSE_CODES, backoff } from "./closing.js";
import { Detour } from "./detour.js";
import { Outbox } from "./outbox.js";
import { Pace } from "./pace.js";
import { Pulse } from "./pulse.js";
import { Surroundings } from "./surroundings.js";

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
 * @property {() => string | null | undefined | Promise<string | null | undefined>} [getToken]  asked before each attempt, and before the token expires
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
const ENDED = new Set([0, 1006]);

export class Line {
  /** @type {ConnectionState} */ state = Object.freeze({ state: "connecting", reason: "", retryInMs: null, degraded: false });
  #outbox;
  /** @type {Socket | null} */ #socket = null;
  /** @type {Surroundings | undefined} */ #surroundings;
  #detour = new Detour();
  #pace = new Pace((text) => this.#socket?.send(text));
  #pulse = new Pulse(
    (text) => this.#socket?.readyState === 1 && this.#socket.send(text),
    () => this.drop("silent"),
  );
  #bearer;
  #owner;
  #options;
  #attempt = 0;
  #turn = 0;
  #wasConnected = false;
  #isGreeted = false;
  #connectedAt = 0;
  #toldAt = 0;
  /** @type {any} */ #retryTimer;
  /** @type {any} */ #handshakeTimer;

  /**
   * @param {Owner} owner
   * @param {LineOptions} options
   */
  constructor(owner, options) {
    this.#owner = owner;
    this.#options = options;
    this.#outbox = new Outbox((text) => this.write(text), options.queue);
    this.#bearer = new Bearer(options.getToken, (token) => this.write(JSON.stringify({ type: "auth", token })));
  }

  start() {
    this.#surroundings = new Surroundings({
      woke: () => this.#wake(),
      cut: (reason) => this.drop(reason),
      left: () => {
        this.#owner.left();
        this.drop("the page was left");
      },
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
    this.#surroundings?.end();
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
      const token = await this.#bearer.ask();
      if (turn !== this.#turn) return;
      const Socket = this.#detour.Socket ?? this.#options.WebSocket ?? globalThis.WebSocket;
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
    this.#pulse.heard();
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
        this.#bearer.taken(frame.timestamp);
        return this.#greeted(payload);
      case "pong":
      case "auth":
        return;
      case "reconnect":
        this.#toldAt = Date.now() + (payload.after_ms ?? 0);
        return;
      case "ack":
      case "error":
        if (this.#outbox.settle(frame, this.#socket?.constructor) || frame.event_type === "ack") return;
        if (payload.code === "auth_too_late") return this.#bearer.stop(); // nobody asks for tokens here
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
      this.#pulse.start();
      this.#detour.clear();
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
    const isBlocked = !this.#isGreeted && this.#socket && ENDED.has(code) && !this.#detour.Socket;
    if (isBlocked && this.#options.fallback !== false) void this.#detour.suspect(this.#owner.address());
    this.#leave();
    this.#outbox.lost(code === TOO_BIG);
    const rule = CLOSE_CODES[code];
    // Without `getToken` it is a cookie, which may have been renewed since.
    if (rule === "fail" || (rule === "token" && !this.#options.getToken && !this.#isGreeted)) {
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

  /** @param {number} [code] */
  #leave(code) {
    const socket = this.#socket;
    this.#socket = null;
    this.#turn += 1;
    this.#pace.reset();
    clearTimeout(this.#handshakeTimer);
    this.#pulse.stop();
    this.#bearer.stop();
    socket?.close(code);
  }

  /** The network may be back, or the page awake: no waiting now, and no trust in an open socket. */
  #wake() {
    if (this.state.retryInMs !== null) return void this.#open();
    if (this.#isGreeted) this.#pulse.probe();
  }
}
