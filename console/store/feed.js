/** The live feed: the newest events, one row each, bounded. No page, no network. */

import { summary } from "../format.js";

/**
 * @typedef {object} Row
 * @property {number} number   counts up, so it also is a key
 * @property {number} at       milliseconds
 * @property {string} type
 * @property {string} subject
 * @property {string} text
 * @property {string} detail   the whole event as JSON; empty where it was too large to keep
 */

const MOST_DETAIL = 4_000;

export class Feed {
  /** @type {Row[]} oldest first */
  rows = [];
  #count = 0;

  /** @param {number} [most] rows kept */
  constructor(most = 500) {
    this.most = most;
  }

  /** How many events there have been. */
  get count() {
    return this.#count;
  }

  /**
   * Of a message that is being written it takes the first piece alone: the others would drive out everything else.
   *
   * @param {import("../../sdk/js/mesh.js").MeshEvent} event
   */
  add(event) {
    if (event.event_type === "chat.delta" && event.payload?.index > 0) return;
    const detail = JSON.stringify(event, null, 2);
    this.#push({
      at: Date.parse(event.timestamp ?? "") || Date.now(),
      type: event.event_type,
      subject: event.subject ?? "",
      text: summary(event),
      detail: detail.length > MOST_DETAIL ? `${detail.slice(0, MOST_DETAIL)}\n… ${detail.length} characters in all` : detail,
    });
  }

  /** Something about the feed itself, such as a gap. @param {string} text */
  note(text) {
    this.#push({ at: Date.now(), type: "feed", subject: "", text, detail: "" });
  }

  /**
   * The newest rows, as a reload of the page gets them back.
   *
   * @param {number} most
   */
  save(most) {
    return this.rows.slice(-most).map(({ at, type, subject, text, detail }) => ({ at, type, subject, text, detail }));
  }

  /** @param {unknown} rows what `save` gave */
  restore(rows) {
    for (const row of Array.isArray(rows) ? rows : []) if (typeof row?.text === "string") this.#push(row);
  }

  /** @param {Omit<Row, "number">} row */
  #push(row) {
    this.rows.push({ ...row, number: (this.#count += 1) });
    // Trimmed in strides, so that a flood does not move the whole array at each event.
    if (this.rows.length >= this.most * 2) this.rows.splice(0, this.rows.length - this.most);
  }
}
