/** The list of sessions: what the API listed and what events changed since. No page, no network. */

/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {string} title
 * @property {string} scope           such as `department · HR`; empty for the executive scope
 * @property {"daena" | "departments" | "agents" | "others"} kind  of whom one talks to
 * @property {{ kind: "agent" | "department", id: string } | null} with  whom one talks to; null for Daena
 * @property {string} preview         the last message in one line; empty where there is none
 * @property {number} at              milliseconds: the later of its last update and its last message
 * @property {number} unread
 * @property {string} owner           who began it; empty where nobody is known
 * @property {string[]} members       with whom the owner shares it
 */

import { short } from "../format.js";

/** @param {unknown} time */
const millis = (time) => Date.parse(String(time ?? ""));

/** @param {any} session */
const scopeOf = ({ scope_type: type, scope_id: id }) =>
  type && type !== "executive" ? [short(type, 24), short(id, 40)].filter(Boolean).join(" · ") : "";

/** @param {any} session @returns {Entry["with"]} */
const withOf = ({ scope_type: kind, scope_id: id }) => (id && (kind === "agent" || kind === "department") ? { kind, id: String(id) } : null);

/** @param {any} session @returns {Entry["kind"]} */
function kindOf({ scope_type: type }) {
  if (type === "department") return "departments";
  if (type === "agent") return "agents";
  return !type || type === "executive" ? "daena" : "others";
}

/** A text without the commonest marks of Markdown. @param {string} text */
const plain = (text) => text.replace(/\*\*|`+|(?:^|(?<=\s))#{1,6}\s/g, "");

export class SessionList {
  /** @type {Map<string, Entry & { updatedAt: number }>} */
  #entries = new Map();
  #gone = new Set();
  /** Those that the API has listed once. */
  #listed = new Set();
  /** Those of which events told since the list was asked for. */
  #moved = new Set();
  /** @type {Record<string, number>} */
  #unread;
  /** The session that is open, whose messages are read as they come. */
  current = "";

  /**
   * @param {(who: string) => boolean} [isMe]
   * @param {Record<string, number>} [unread]  how many messages were not read when the page was left, by session
   */
  constructor(isMe = (who) => who === "user", unread = {}) {
    this.isMe = isMe;
    this.#unread = unread;
  }

  /** What the constructor takes, as it is now. @returns {Record<string, number>} */
  get unread() {
    const now = [...this.#entries.values()].filter(({ unread }) => unread > 0).map(({ id, unread }) => [id, unread]);
    return { ...this.#unread, ...Object.fromEntries(now) };
  }

  /** How many are known. */
  get size() {
    return this.#entries.size;
  }

  /** @returns {Entry[]} newest first */
  get newestFirst() {
    return [...this.#entries.values()].sort((a, b) => b.at - a.at || (a.id < b.id ? -1 : 1));
  }

  /** @param {string} id */
  find(id) {
    return this.#entries.get(id);
  }

  /**
   * Take over what the API listed.
   *
   * @param {any[]} sessions
   */
  load(sessions) {
    for (const session of sessions) {
      const id = session.session_id;
      if (!id || this.#gone.has(id)) continue;
      this.#put(session);
      const last = session.last_message?.payload ?? session.last_message;
      if (last) this.#said(id, last, millis(session.last_message?.timestamp ?? session.last_message_at));
    }
  }

  /** The list is being asked for: whatever events tell from now on is newer. */
  asked() {
    this.#moved.clear();
  }

  /**
   * Take over a page of what the API lists: of its newest, where `isFirst`, and with none older, where `isLast`.
   *
   * What it listed once, and does not list now among others of its time, is gone: deleted, or not shared any more.
   *
   * @param {any[]} sessions
   * @param {{ isFirst: boolean, isLast: boolean }} page
   */
  list(sessions, { isFirst, isLast }) {
    this.load(sessions);
    const ids = new Set(sessions.map(({ session_id: id }) => id));
    const oldest = isLast ? -1 : Math.min(...[...ids].map((id) => this.#entries.get(id)?.at ?? Infinity));
    for (const id of isFirst ? this.#listed : []) {
      const isAmongThem = (this.#entries.get(id)?.at ?? -1) > oldest && !this.#moved.has(id) && id !== this.current;
      if (isAmongThem && !ids.has(id)) this.drop(id);
    }
    for (const id of ids) this.#listed.add(id);
  }

  /**
   * Take an event of the feed.
   *
   * @param {import("../../sdk/js/mesh.js").MeshEvent} event
   * @param {boolean} [news]  whether nobody can have read it here before
   * @returns {boolean} whether the list changed
   */
  apply({ event_type: type, payload, timestamp }, news = true) {
    const id = payload?.session_id;
    if (!id || this.#gone.has(id)) return false;
    this.#moved.add(id);
    if (type === "session.deleted") {
      this.#gone.add(id);
      return this.#entries.delete(id);
    }
    if (type === "session.created" || type === "session.updated") {
      this.#put({ updated_at: timestamp, ...payload, ...payload.updates, ...payload.session, session_id: id });
      return true;
    }
    if (type !== "chat.message") return false;
    // The session of an unknown id is created by the API in answer to this very message.
    // Whatever the API tells of it is newer than nothing.
    if (!this.#entries.has(id)) this.#put({ session_id: id });
    const newest = this.#said(id, payload, millis(timestamp));
    const entry = this.#entries.get(id);
    if (entry && news && newest && id !== this.current && !this.isMe(payload.sender)) entry.unread += 1;
    return true;
  }

  /** One may not see a session any more; it may come back. @param {string} id */
  drop(id) {
    this.#entries.delete(id);
    this.#listed.delete(id);
  }

  /** @param {string} id */
  read(id) {
    this.current = id;
    delete this.#unread[id];
    const entry = this.#entries.get(id);
    if (entry) entry.unread = 0;
  }

  /** @param {any} session */
  #put(session) {
    const id = session.session_id;
    const updatedAt = millis(session.updated_at ?? session.created_at) || 0;
    const known = this.#entries.get(id);
    const unread = known?.unread ?? this.#unread[id] ?? 0;
    delete this.#unread[id];
    if (known && known.updatedAt > updatedAt) return;
    this.#entries.set(id, {
      id,
      title: short(session.title, 200) || known?.title || id,
      scope: scopeOf(session),
      kind: kindOf(session),
      with: withOf(session),
      preview: known?.preview ?? "",
      at: Math.max(known?.at ?? 0, updatedAt),
      unread,
      owner: String(session.created_by ?? known?.owner ?? ""),
      members: Array.isArray(session.members) ? session.members.map(String) : (known?.members ?? []),
      updatedAt,
    });
  }

  /**
   * @param {string} id
   * @param {any} message
   * @param {number} at
   * @returns {boolean} whether it is the newest of its session
   */
  #said(id, message, at) {
    const entry = this.#entries.get(id);
    if (!entry || (entry.preview && at < entry.at)) return false;
    const { sender, content } = message;
    entry.preview = `${this.isMe(sender) ? "You" : short(sender, 24)}: ${plain(short(content, 160))}`;
    entry.at = Math.max(entry.at, at || 0);
    return true;
  }
}
