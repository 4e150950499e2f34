/** The list of sessions on the page. */

import { arrange, byId, h, inFrame, roving, setText } from "./dom.js";
import { clock, moment } from "./format.js";

const MOST_SHOWN = 300;

export class SessionsView {
  #list = byId("session-list");
  #note = byId("sessions-note");
  #count = byId("session-count");
  #retab = roving(this.#list, "a");
  /** @type {Map<string, any>} by session, its row's elements */
  #rows = new Map();
  #older = byId("older-sessions");
  #most = MOST_SHOWN;
  #problem = "";
  #loaded = false;

  /**
   * @param {import("./sessions.js").SessionList} sessions
   * @param {() => void} retry  loads the list again
   * @param {() => void} more   loads older sessions
   */
  constructor(sessions, retry, more) {
    this.sessions = sessions;
    this.retry = h("button", { type: "button", class: "text-button", onclick: retry }, "Try again");
    this.#older.addEventListener("click", more);
    this.changed = inFrame(() => this.#render());
    this.#list.append(...[72, 54, 64, 48].map((width) => h("li", { class: `skeleton w${width}`, "aria-hidden": "true" })));
  }

  /**
   * @param {string} problem  empty where the list was loaded
   * @param {boolean} [more]  whether there are older ones
   */
  loaded(problem, more = false) {
    this.#older.hidden = !more;
    this.#most = Math.max(this.#most, MOST_SHOWN + this.sessions.size);
    this.#problem = problem;
    this.#loaded ||= !problem;
    this.changed();
  }

  #render() {
    const entries = this.sessions.newestFirst;
    if (!this.#loaded && !this.#problem && entries.length === 0) return;
    this.#list.setAttribute("aria-busy", String(!this.#loaded && !this.#problem));
    const shown = entries.slice(0, this.#most);
    const kept = new Set(shown.map(({ id }) => id));
    for (const id of this.#rows.keys()) if (!kept.has(id)) this.#rows.delete(id);
    arrange(this.#list, shown.map((entry) => this.#row(entry)));
    setText(this.#count, entries.length ? `${entries.length}${this.#older.hidden ? "" : "+"}` : "");
    const empty = entries.length ? "" : "No sessions yet. Name one above, or just write a message.";
    const words = this.#problem ? `The list could not be loaded. ${this.#problem}` : empty;
    this.#note.replaceChildren(words, ...(this.#problem ? [h("br"), this.retry] : []));
    this.#note.hidden = !words;
    this.#note.classList.toggle("bad", Boolean(this.#problem));
    this.#retab();
  }

  /** @param {import("./sessions.js").Entry} entry */
  #row(entry) {
    let row = this.#rows.get(entry.id);
    if (!row) {
      const parts = {
        title: h("span", { class: "session-title" }),
        time: h("time", { class: "session-time" }),
        preview: h("span", { class: "session-preview" }),
        unread: h("span", { class: "unread" }),
      };
      const link = h(
        "a",
        { href: `#/s/${encodeURIComponent(entry.id)}` },
        h("span", { class: "session-line" }, parts.title, parts.time),
        h("span", { class: "session-line" }, parts.preview, parts.unread),
      );
      row = { ...parts, link, item: h("li", {}, link) };
      this.#rows.set(entry.id, row);
    }
    setText(row.title, entry.title);
    row.title.title = entry.title;
    setText(row.time, entry.at ? moment(entry.at) : "");
    if (entry.at) row.time.title = `${new Date(entry.at).toLocaleDateString()} ${clock(entry.at)}`;
    setText(row.preview, entry.preview || entry.scope || "No messages yet");
    setText(row.unread, entry.unread ? (entry.unread > 99 ? "99+" : String(entry.unread)) : "");
    row.unread.hidden = !entry.unread;
    if (entry.unread) row.unread.setAttribute("aria-label", `${entry.unread} unread`);
    if (entry.id === this.sessions.current) row.link.setAttribute("aria-current", "page");
    else row.link.removeAttribute("aria-current");
    return row.item;
  }
}
