/** Rows of events, oldest first, bounded in number and in size, and those of them that are wanted. No page, no network. */

import { short, summary } from "../../format.js";
import { progressOf } from "../../store/progress.js";

/**
 * @typedef {object} Row
 * @property {number} number    rises from row to row, so it also is a key
 * @property {string} cursor    empty for a note of the page's own
 * @property {number} at        milliseconds
 * @property {string} type
 * @property {string} domain
 * @property {string} subject
 * @property {string} text      what it says, in one line
 * @property {string} json      the event as it came
 * @property {string[]} who     who told it, or whom it is about
 * @property {string} trace     the id of its trace; empty where it has none
 * @property {boolean} isPiece  a piece of a message, but the first
 */

export const MOST_ROWS = 10_000;
const MOST_CHARACTERS = 24_000_000;
const STRIDE = 1.1;
const TRACE = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;

/** The id of a trace out of a `traceparent` (W3C Trace Context). @param {unknown} text */
export const traceOf = (text) => (typeof text === "string" && TRACE.exec(text)?.[1]) || "";

/** What an event says, in one line; of a task how far it has come, as its bar says it. @param {any} event */
function saidBy(event) {
  const { event_type: type, payload } = event;
  if (type !== "task.update" || typeof payload !== "object" || payload === null) return summary(event);
  const { words, note } = progressOf(payload.progress, payload.status === "running");
  return [payload.status, payload.title, words, note, payload.reason].map((each) => short(each)).filter(Boolean).join(" · ");
}

/**
 * @param {any} event
 * @param {number} number
 * @returns {Row}
 */
export function rowOf(event, number) {
  const { event_type: type = "", subject = "", payload, timestamp = "", cursor = "" } = event;
  const [domain, id, , author] = subject.split(".");
  const who = new Set([author, domain === "agent" ? id : undefined, payload?.agent_id, payload?.sender, payload?.who]);
  return {
    number,
    cursor,
    at: Date.parse(timestamp) || Date.now(),
    type: String(type),
    domain: String(type).split(".", 1)[0],
    subject,
    text: saidBy(event),
    json: JSON.stringify(event),
    who: /** @type {string[]} */ ([...who].filter((each) => typeof each === "string" && each)),
    trace: traceOf(event.traceparent) || traceOf(payload?.traceparent),
    isPiece: type === "chat.delta" && payload?.index > 0,
  };
}

export class Timeline {
  /** @type {Row[]} */
  rows = [];
  /** @type {Row[]} those that are wanted */
  shown = [];
  /** How many wanted ones were ever added at the end. */
  count = 0;
  /** @type {Map<string, number>} how many rows of each type there have been */
  types = new Map();
  #wanted = /** @type {(row: Row) => boolean} */ (() => true);
  #cursors = new Set();
  #characters = 0;

  /** @param {number} [most] @param {number} [mostCharacters] */
  constructor(most = MOST_ROWS, mostCharacters = MOST_CHARACTERS) {
    this.most = most;
    this.mostCharacters = mostCharacters;
  }

  /** @param {(row: Row) => boolean} wanted */
  want(wanted) {
    this.#wanted = wanted;
    this.shown = this.rows.filter(wanted);
  }

  /** Add what came last; what is there already is left out. @param {any[]} events */
  append(events) {
    let number = this.rows.at(-1)?.number ?? 0;
    for (const event of events) {
      if (this.#isKnown(event)) continue;
      this.#push(this.#made(event, (number += 1)));
    }
    this.#trim();
  }

  /** Say something of the page's own. @param {string} text */
  note(text) {
    const number = (this.rows.at(-1)?.number ?? 0) + 1;
    this.#push({ number, cursor: "", at: Date.now(), type: "feed", domain: "feed", subject: "", text, json: "", who: [], trace: "", isPiece: false });
    this.#trim();
  }

  /** Add what was before, as far as there is room. @param {any[]} events  oldest first */
  prepend(events) {
    const fresh = events.filter((event) => !this.#isKnown(event));
    const room = Math.max(0, this.most - this.rows.length);
    const kept = room < fresh.length ? fresh.slice(fresh.length - room) : fresh;
    const first = (this.rows[0]?.number ?? 1) - kept.length;
    const rows = kept.map((event, index) => this.#made(event, first + index));
    this.rows = [...rows, ...this.rows];
    this.shown = [...rows.filter(this.#wanted), ...this.shown];
  }

  /** Whether nothing more can be put before. */
  get isFull() {
    return this.rows.length >= this.most || this.#characters >= this.mostCharacters;
  }

  /** The same rows, which no longer change. */
  copy() {
    const copy = new Timeline(this.most, this.mostCharacters);
    copy.rows = [...this.rows];
    copy.shown = [...this.shown];
    copy.types = this.types;
    copy.count = this.count;
    copy.#wanted = this.#wanted;
    copy.#cursors = new Set(this.#cursors);
    copy.#characters = this.#characters;
    return copy;
  }

  /** @param {any} event */
  #isKnown(event) {
    return Boolean(event.cursor) && this.#cursors.has(event.cursor);
  }

  /** @param {any} event @param {number} number */
  #made(event, number) {
    const row = rowOf(event, number);
    if (row.cursor) this.#cursors.add(row.cursor);
    this.types.set(row.type, (this.types.get(row.type) ?? 0) + 1);
    this.#characters += row.json.length;
    return row;
  }

  /** @param {Row} row */
  #push(row) {
    this.rows.push(row);
    if (this.#wanted(row)) {
      this.shown.push(row);
      this.count += 1;
    }
  }

  /** Drop the oldest, in strides, so that a flood does not move the whole array at each event. */
  #trim() {
    if (this.rows.length < this.most * STRIDE && this.#characters < this.mostCharacters * STRIDE) return;
    let drop = Math.max(0, this.rows.length - this.most);
    let characters = this.#characters;
    this.rows.forEach((row, index) => {
      if (index >= drop && characters <= this.mostCharacters) return;
      characters -= row.json.length;
      this.#cursors.delete(row.cursor);
      drop = Math.max(drop, index + 1);
    });
    this.#characters = characters;
    this.rows = this.rows.slice(drop);
    const first = this.rows[0]?.number ?? Infinity;
    const from = this.shown.findIndex(({ number }) => number >= first);
    this.shown = from < 0 ? [] : this.shown.slice(from);
  }
}

/**
 * Where a row lies, or the first after it.
 *
 * @param {Row[]} rows
 * @param {number} number
 */
export function indexOf(rows, number) {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle].number < number) low = middle + 1;
    else high = middle;
  }
  return low;
}
