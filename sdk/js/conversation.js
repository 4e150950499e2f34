/**
 * The messages of one session: from the API, live, streamed and one's own on the way, each shown once. No page, no
 * network.
 */

import { Assembly } from "./assembly.js";
import { compareCursors } from "./positions.js";

/**
 * @typedef {object} Item
 * @property {string} key       the same for as long as it is shown
 * @property {string} messageId empty while the API has not answered
 * @property {string} cursor
 * @property {string} sender
 * @property {string} content
 * @property {number} at        milliseconds
 * @property {"stored" | "streaming" | "sending" | "failed"} status
 * @property {string} reason    why it failed, or why it is incomplete
 * @property {boolean} incomplete  it was stored before its writer came to an end
 */

const TYPING_MS = 5_000;

/** @param {unknown} value */
const text = (value) => (typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value));

export class Conversation {
  /** @type {Item[]} in the order of the log */
  #stored = [];
  /** @type {Map<string, Item & { assembly: Assembly }>} by message id */
  #streaming = new Map();
  /** @type {Map<string, Item & { seen: boolean }>} by key; `seen` where it has come back live already */
  #sending = new Map();
  /** @type {Map<string, number>} when each sender last typed */
  #typing = new Map();

  /** @type {(a: string, b: string) => number} */
  #compare;

  /**
   * @param {string} id
   * @param {(a: string, b: string) => number} [compare]  two cursors, as `compareCursors` does
   */
  constructor(id, compare = compareCursors) {
    this.id = id;
    this.#compare = compare;
  }

  /** @returns {Item[]} in the order they are to be read */
  get items() {
    const sending = [...this.#sending.values()].filter((item) => !item.seen);
    return [...this.#stored, ...this.#streaming.values(), ...sending];
  }

  /** Who is typing. @param {number} [now] milliseconds */
  typing(now = Date.now()) {
    return [...this.#typing].filter(([, at]) => now - at < TYPING_MS).map(([sender]) => sender);
  }

  /**
   * Take an event, of the API's or live.
   *
   * @param {import("./topic.js").MeshEvent} event
   * @returns {boolean} whether something changed
   */
  apply({ event_type: type, payload, cursor = "", id = "", timestamp = "" }) {
    if (typeof payload !== "object" || payload === null) return false;
    const sender = text(payload.sender) || "unknown";
    const at = Date.parse(timestamp);
    if (type === "chat.typing") {
      this.#typing.set(sender, at || Date.now());
      return true;
    }
    const messageId = text(payload.message_id) || id || cursor;
    if (type === "chat.delta") return this.#stream(messageId, sender, payload, at);
    if (type !== "chat.message") return false;
    this.#typing.delete(sender);
    this.#streaming.delete(messageId);
    const content = text(payload.content);
    if (this.#stored.some((item) => item.messageId === messageId)) return false;
    // One's own message may come live before the API's answer: it takes the place of what is being sent.
    const sending = [...this.#sending.values()];
    const own =
      sending.find((item) => item.key === messageId && !item.seen) ??
      sending.find((item) => item.status === "sending" && !item.seen && item.sender === sender && item.content === content);
    if (own) own.seen = true;
    const { incomplete, reason } = /** @type {any} */ (payload.metadata) ?? {};
    return this.#store({ messageId, cursor, sender, content, at, key: own?.key, incomplete: incomplete === true, reason: incomplete === true ? text(reason) : "" });
  }

  /**
   * Show one's own message before the API has answered.
   *
   * @param {string} key      unique; also makes a retry safe
   * @param {string} sender
   * @param {string} content
   */
  send(key, sender, content) {
    const item = { key, messageId: "", cursor: "", sender, content, at: Date.now(), reason: "", incomplete: false };
    this.#sending.set(key, { ...item, status: "sending", seen: false });
  }

  /**
   * The API stored it.
   *
   * @param {string} key
   * @param {{ message_id: string, cursor: string }} answer
   */
  sent(key, { message_id: messageId, cursor }) {
    const item = this.#sending.get(key);
    this.#sending.delete(key);
    if (item) this.#store({ ...item, messageId, cursor });
  }

  /**
   * The API did not take it.
   *
   * @param {string} key
   * @param {string} reason
   */
  failed(key, reason) {
    const item = this.#sending.get(key);
    if (item) this.#sending.set(key, { ...item, status: "failed", reason, seen: false });
  }

  /** Take back a message that was not sent. @param {string} key */
  discard(key) {
    this.#sending.delete(key);
  }

  /**
   * @param {{ messageId: string, cursor: string, sender: string, content: string, at: number, key?: string, incomplete?: boolean, reason?: string }} message
   * @returns {boolean}
   */
  #store({ messageId, cursor, sender, content, at, key = messageId, incomplete = false, reason = "" }) {
    if (this.#stored.some((item) => item.messageId === messageId)) return false;
    const free = !this.#stored.some((item) => item.key === key);
    /** @type {Item} */
    const item = { key: free ? key : messageId, messageId, cursor, sender, content, at, status: "stored", reason, incomplete };
    let place = this.#stored.length;
    while (place > 0 && this.#compare(this.#stored[place - 1].cursor, cursor) > 0) place -= 1;
    this.#stored.splice(place, 0, item);
    return true;
  }

  /**
   * @param {string} messageId
   * @param {string} sender
   * @param {any} payload
   * @param {number} at
   */
  #stream(messageId, sender, payload, at) {
    if (this.#stored.some((item) => item.messageId === messageId)) return false;
    const known = this.#streaming.get(messageId);
    const assembly = known?.assembly ?? new Assembly();
    if (!assembly.take(payload)) return false;
    const content = assembly.text;
    if (known && known.content === content && known.sender === sender) return false;
    this.#typing.delete(sender);
    const base = { key: messageId, messageId, cursor: "", sender, at: known?.at ?? at, reason: "", incomplete: false };
    this.#streaming.set(messageId, { ...base, assembly, content, status: "streaming" });
    return true;
  }
}
