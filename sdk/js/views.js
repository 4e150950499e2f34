/** A chat, a task, an agent as they are now: read from the API once, and kept so by events. */

import { backoff } from "./closing.js";
import { Conversation } from "./conversation.js";
import { Emitter } from "./emitter.js";
import { randomId } from "./outbox.js";
import { compareCursors } from "./positions.js";

/** @typedef {import("./conversation.js").Item} Item */
/** @typedef {import("./topic.js").MeshEvent} MeshEvent */
/** @typedef {import("./line.js").ConnectionState} ConnectionState */

/**
 * Where views get what they show.
 *
 * @typedef {object} Source
 * @property {(name: string, options?: import("./topic.js").FollowOptions) => import("./shared.js").Following} follow
 * @property {(name: string) => boolean} follows
 * @property {import("./many.js").Mesh["send"]} send
 * @property {(path: string) => Promise<Response>} get   from the API
 */

// An API that cannot be asked, as from a page of another origin, must not keep a view from what its edge shows.
const MOST_ATTEMPTS = 3;
const FINISHED = new Set(["completed", "failed", "cancelled"]);

/**
 * What all views have in common. `on` takes `change`, `state` ({@link ConnectionState}), `gap`, `recovered` and `error`.
 */
class View extends Emitter {
  /** @protected @type {import("./shared.js").Following | null} */ _following = null;
  /** @protected */ _isClosed = false;
  /** @protected */ _source;

  /** @param {Source} source @param {string} id */
  constructor(source, id) {
    super();
    this._source = source;
    this.id = id;
  }

  /** How it is followed. @returns {ConnectionState} */
  get state() {
    return this._following?.state ?? { state: "connecting", reason: "asking the API", retryInMs: null, degraded: false };
  }

  /** Keep it no longer. */
  close() {
    this._isClosed = true;
    this._deafen();
    this._following?.close();
  }

  /**
   * @protected
   * @param {string} topic
   * @param {import("./topic.js").FollowOptions} options
   * @param {(event: MeshEvent) => void} take
   */
  _follow(topic, options, take) {
    const following = this._source.follow(topic, options);
    this._following = following;
    following.on("*", take);
    for (const type of ["state", "gap", "recovered"]) following.on(type, (what) => this._emit(type, what));
    this._emit("state", following.state);
  }

  /**
   * Ask the API, a few times where it does not answer.
   *
   * @protected
   * @param {string} path
   * @returns {Promise<any>} null where there is no such thing, or no API that answers
   */
  async _read(path) {
    for (let attempt = 0; attempt < MOST_ATTEMPTS && !this._isClosed; attempt += 1) {
      try {
        const response = await this._source.get(path);
        if (response.ok) return await response.json();
        if (response.status === 404 || response.status === 410) return null;
        if (response.status < 500 && response.status !== 429) {
          this._emit("error", { code: `http-${response.status}`, message: "the API refuses to tell" });
          return null;
        }
      } catch {
        // it is away, and is asked again
      }
      await new Promise((resolve) => setTimeout(resolve, backoff(attempt + 1)));
    }
    return null;
  }

  /**
   * Read what is, now and where events cannot tell any more.
   *
   * @protected
   * @param {() => Promise<void>} load
   */
  _keep(load) {
    const following = this._following;
    let isSure = following?.state.state === "connected";
    following?.on("state", ({ state }) => {
      // What was told between the first answer and the moment since which events come is in neither.
      if (!isSure && state === "connected") void load();
      isSure ||= state === "connected";
    });
    following?.on("gap", () => void load());
    void load();
  }

  /** @protected */
  _changed() {
    if (!this._isClosed) this._emit("change", this);
  }
}

/** The messages of a session in one list: stored, being written, and one's own on the way. */
export class Chat extends View {
  #conversation;
  #options;
  /** @type {MeshEvent[] | null} what comes while the API is asked */
  #early = [];

  /**
   * @param {Source} source
   * @param {string} id
   * @param {{ history?: number, sender?: string }} [options]
   */
  constructor(source, id, { history = 100, sender = "user" } = {}) {
    super(source, id);
    this.#options = { history, sender };
    this.#conversation = new Conversation(id);
    void this.#load();
  }

  /** @returns {Item[]} in the order they are to be read */
  get items() {
    return this.#conversation.items;
  }

  /** Who is typing now. @param {number} [now] milliseconds */
  typing(now) {
    return this.#conversation.typing(now);
  }

  /**
   * Say something. It shows at once as `sending`, then as `stored`, or as `failed` with a reason.
   *
   * @param {string} content
   * @param {{ sender?: string, metadata?: Record<string, any>, id?: string }} [options]  with the `key` of a failed item as
   *   `id` that one is sent again
   */
  async send(content, { sender = this.#options.sender, metadata, id = randomId() } = {}) {
    this.#conversation.send(id, sender, content);
    this._changed();
    try {
      const payload = { sender, content, message_id: id, ...(metadata && { metadata }) };
      const ack = await this._source.send(`chat.${this.id}.message`, payload, { id });
      this.#conversation.sent(id, { message_id: id, cursor: ack.cursor });
      return ack;
    } catch (error) {
      this.#conversation.failed(id, /** @type {Error} */ (error).message);
      throw error;
    } finally {
      this._changed();
    }
  }

  /** Take back a message that failed. @param {string} key */
  discard(key) {
    this.#conversation.discard(key);
    this._changed();
  }

  async #load() {
    const topic = `chat_${this.id}`;
    const { history } = this.#options;
    const take = (/** @type {MeshEvent} */ event) => this.#take(event);
    let answer;
    do {
      // What others here follow already is joined before the API is asked, so that nothing falls in between.
      if (!this._following && this._source.follows(topic)) this._follow(topic, {}, take);
      answer = await this._read(`chat-history/sessions/${encodeURIComponent(this.id)}?limit=${history}`);
      if (this._isClosed) return;
    } while (!this._following && this._source.follows(topic));
    for (const event of answer?.messages ?? []) this.#conversation.apply(event);
    const early = this.#early ?? [];
    this.#early = null;
    for (const event of early) this.#conversation.apply(event);
    if (!this._following) this._follow(topic, answer ? { since: answer.since } : { history }, take);
    this._following?.on("gap", ({ to }) => !String(to).startsWith("S") && this.#again());
    this._changed();
  }

  /** Something cannot be had any more by events: what the API has is the whole. */
  #again() {
    this._following?.close();
    this._following = null;
    this.#early = [];
    this.#conversation = new Conversation(this.id);
    void this.#load();
  }

  /** @param {MeshEvent} event */
  #take(event) {
    if (this.#early) this.#early.push(event);
    else if (this.#conversation.apply(event)) this._changed();
  }
}

/** How far a task has come. */
export class Task extends View {
  /** `running`, `completed`, `failed`, `cancelled`, or what else was told; empty while nothing is known. */
  status = "";
  title = "";
  /** Who is at it. */
  agent = "";
  /** As it was told. @type {unknown} */
  progress = null;
  reason = "";
  /** @type {string | undefined} */ #cursor;

  /** @param {Source} source @param {string} id */
  constructor(source, id) {
    super(source, id);
    this._follow("events", { types: ["task.update"] }, ({ subject = "", payload, cursor }) => {
      const [, task, , author] = subject.split(".");
      if (task === id) this.#update({ agent_id: author, ...payload }, cursor);
    });
    this._keep(() => this.#load());
  }

  /** Whether it goes on. */
  get isOpen() {
    return this.status !== "" && !FINISHED.has(this.status);
  }

  async #load() {
    const found = await this._read(`tasks/${encodeURIComponent(this.id)}`);
    if (found) this.#update(found, found.cursor);
  }

  /** @param {any} told @param {string | undefined} cursor */
  #update({ status, title, agent_id: agent, progress, reason }, cursor) {
    if (compareCursors(cursor, this.#cursor) <= 0) return;
    this.#cursor = cursor;
    this.status = String(status ?? "");
    this.title = title ?? this.title;
    this.agent = agent ?? this.agent;
    this.progress = progress ?? null;
    this.reason = reason ?? "";
    this._changed();
  }
}

/** How an agent is, and what it does. */
export class Agent extends View {
  /** `online`, `busy`, `offline`, or empty while nothing is known. */
  status = "";
  reason = "";
  /** What it said last that it does, as it was told. @type {unknown} */
  activity = null;
  /** @type {Map<string, string>} the status of each task that is known */ #tasks = new Map();
  /** @type {Record<string, string | undefined>} */ #cursors = {};

  /** @param {Source} source @param {string} id */
  constructor(source, id) {
    super(source, id);
    this._follow(`agent_${id}`, {}, ({ event_type: type, subject = "", payload, cursor }) => {
      if (type === "agent.status") this.#told(payload, cursor);
      else if (type === "agent.activity") this.#does(payload.activity, cursor);
      else if (type === "task.update") this.#tasks.set(subject.split(".")[1], payload.status);
      this._changed();
    });
    this._keep(() => this.#load());
  }

  /** The ids of what it works on. */
  get tasks() {
    return [...this.#tasks].filter(([, status]) => !FINISHED.has(status)).map(([id]) => id);
  }

  async #load() {
    const found = await this._read(`agents/${encodeURIComponent(this.id)}`);
    if (!found) return;
    this.#told({ status: found.status, reason: found.reason }, found.cursor);
    this.#does(found.activity, found.cursor);
    for (const id of found.tasks ?? []) if (!this.#tasks.has(id)) this.#tasks.set(id, "running");
    this._changed();
  }

  /** @param {any} told @param {string | undefined} cursor */
  #told({ status, reason }, cursor) {
    if (this.#isOld("status", cursor)) return;
    this.status = String(status ?? "");
    this.reason = reason ?? "";
  }

  /** @param {unknown} activity @param {string | undefined} cursor */
  #does(activity, cursor) {
    if (!this.#isOld("activity", cursor)) this.activity = activity ?? null;
  }

  /** @param {string} what @param {string | undefined} cursor */
  #isOld(what, cursor) {
    if (compareCursors(cursor, this.#cursors[what]) <= 0) return true;
    this.#cursors[what] = cursor;
    return false;
  }
}
