/** The live feed on the page, newest first. */

import { byId, h, inFrame, roving, setText } from "./dom.js";
import { clockSeconds } from "./format.js";

/** @typedef {import("./feed.js").Row} Row */

export class FeedView {
  #list = byId("feed-list");
  #note = byId("feed-note");
  #pause = byId("feed-pause");
  #filter = byId("feed-filter");
  #retab = roving(this.#list, "button.event");
  #drawn = 0;
  #paused = false;

  /** @param {import("./feed.js").Feed} feed */
  constructor(feed) {
    this.feed = feed;
    this.changed = inFrame(() => this.#render());
    this.#pause.addEventListener("click", () => {
      this.#paused = !this.#paused;
      this.#pause.setAttribute("aria-pressed", String(this.#paused));
      this.#render();
    });
    this.#filter.addEventListener("change", () => {
      this.#list.replaceChildren();
      const until = this.#drawn;
      this.#drawn = 0;
      this.#draw(until);
    });
    this.#list.addEventListener("click", (/** @type {any} */ { target }) => {
      const button = target.closest("button.event");
      if (button) this.#toggle(button);
    });
  }

  #render() {
    const { feed } = this;
    for (const row of feed.rows.slice(-200)) this.#know(row.type);
    const waiting = feed.count - this.#drawn;
    setText(this.#pause, this.#paused ? (waiting ? `Resume (${Math.min(waiting, feed.most)}${waiting > feed.most ? "+" : ""})` : "Resume") : "Pause");
    if (!this.#paused) this.#draw(feed.count);
  }

  /** Put the rows up to a number that are not drawn yet on top. @param {number} until */
  #draw(until) {
    const { rows, most } = this.feed;
    const wanted = this.#filter.value;
    const fresh = rows
      .slice(-most)
      .filter(({ number, type }) => number > this.#drawn && number <= until && (!wanted || domainOf(type) === wanted));
    this.#drawn = until;
    this.#list.prepend(...fresh.reverse().map((row) => this.#row(row)));
    while (this.#list.childElementCount > most) this.#list.lastElementChild.remove();
    this.#retab();
    const empty = this.#list.childElementCount === 0;
    this.#note.hidden = !empty;
    setText(this.#note, this.#filter.value ? `No ${this.#filter.value} events yet.` : "What agents and people do shows here as it happens.");
  }

  /** Offer a domain in the filter once it was seen. @param {string} type */
  #know(type) {
    const domain = domainOf(type);
    if ([...this.#filter.options].some(({ value }) => value === domain)) return;
    this.#filter.append(h("option", { value: domain }, domain));
  }

  /** @param {Row} row */
  #row(row) {
    return h(
      "li",
      { "data-domain": domainOf(row.type) },
      h(
        "button",
        { type: "button", class: "event", "aria-expanded": "false", "data-number": row.number, tabindex: "-1" },
        h("time", { datetime: new Date(row.at).toISOString() }, clockSeconds(row.at)),
        h("span", { class: "type" }, row.type),
        h("span", { class: "subject" }, row.subject),
        h("span", { class: "says" }, row.text),
      ),
    );
  }

  /** @param {HTMLElement} button */
  #toggle(button) {
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    if (open) return button.nextElementSibling?.remove();
    const row = this.feed.rows.find(({ number }) => String(number) === button.dataset.number);
    button.after(h("pre", { tabindex: "0" }, row?.detail || row?.text || "This event is no longer kept here."));
  }
}

/** @param {string} type */
const domainOf = (type) => type.split(".", 1)[0];
