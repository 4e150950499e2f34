/** Where the rows come from: the log, then the feed of everything; or from some moment on, until now is reached. */

import * as api from "../../api.js";
import { onEvents, onGap } from "../../store/events.js";
import { covers } from "../../subjects.js";
import { signal } from "../../vendor/preact.js";
import { matcher } from "./filter.js";
import { Timeline } from "./timeline.js";

const PAGE = 500;
const MOST_PAGES = 4;

/**
 * @typedef {object} Start
 * @property {string} [at]     RFC 3339
 * @property {string} [since]  a cursor
 */

const EXPIRED = "Events in between are no longer kept.";
const ANEW = "The log began anew; what was between is unknown.";

/** @param {string} cursor @returns {[string, number]} the life of the stream, and the sequence in it */
const placeOf = (cursor) => [cursor.slice(0, cursor.lastIndexOf("-")), Number(cursor.slice(cursor.lastIndexOf("-") + 1))];

export class Source {
  timeline = new Timeline();
  /** Counts up with each change. */
  version = signal(0);
  /** What it does now: `start`, `older`, `newer`, or nothing. */
  busy = signal("start");
  problem = signal("");
  hasOlder = true;
  /** Whether there is more between its last row and now. */
  isBehind;
  /** How many events it looked at that are older than its first row, and none of them wanted. */
  looked = 0;
  /** @type {any[] | null} what came while the log was read */
  #held = [];
  #previous = "";
  #next = "";
  /** @type {Map<string, number>} for each life of a stream up to where the first page has everything that is wanted */
  #through = new Map();
  #isClosed = false;

  /** @param {string[]} subjects  empty for all @param {Start} start */
  constructor(subjects, start) {
    this.subjects = subjects;
    this.start = start;
    this.isBehind = Boolean(start.at || start.since);
    this.#ends = [onEvents((events) => this.#take(events)), onGap(({ reason }) => this.#gap(reason))];
    this.begin();
  }

  /** @type {Array<() => void>} */
  #ends = [];

  close() {
    this.#isClosed = true;
    for (const end of this.#ends) end();
  }

  /** Read the first page. */
  async begin() {
    const { at, since } = this.start;
    const page = await this.#read("start", at || since ? { at, since } : {});
    const held = this.#held ?? [];
    if (page && (at || since)) this.#onward(page, held);
    else {
      if (page) this.timeline.prepend(page.events);
      for (const { cursor } of page?.events ?? []) {
        const [life, seq] = placeOf(cursor);
        this.#through.set(life, Math.max(seq, this.#through.get(life) ?? 0));
      }
      this.timeline.append(held.filter(this.#isBehindFirstPage));
      this.#held = null;
      this.hasOlder = Boolean(page?.more);
    }
    if (page) this.#previous = page.previous;
    this.#changed();
  }

  /** Read what was before, until something of it is wanted; a few pages at most. @param {Timeline} [timeline]  that is shown instead */
  async older(timeline = this.timeline) {
    if (!this.hasOlder || this.busy.peek() || !this.#previous || timeline.isFull) return;
    const before = timeline.shown.length;
    for (let pages = 0; pages < MOST_PAGES && this.hasOlder && timeline.shown.length === before && !timeline.isFull; pages += 1) {
      const page = await this.#read("older", { before: this.#previous });
      if (!page) return;
      this.#previous = page.previous;
      this.hasOlder = page.more;
      timeline.prepend(page.events);
      if (timeline !== this.timeline) this.timeline.prepend(page.events);
      this.looked = timeline.shown.length === before ? this.looked + page.events.length : 0;
      this.#changed();
    }
  }

  /** Read what follows, where it is behind. */
  async newer() {
    if (!this.isBehind || this.busy.peek()) return;
    const before = this.timeline.shown.length;
    for (let pages = 0; pages < MOST_PAGES && this.isBehind && this.timeline.shown.length === before; pages += 1) {
      this.#held = [];
      const page = await this.#read("newer", { since: this.#next });
      if (!page) return;
      this.#onward(page, this.#held ?? []);
      this.#changed();
    }
  }

  /** @param {any} page @param {any[]} held */
  #onward(page, held) {
    if (page.gaps.length) this.timeline.note(EXPIRED);
    this.timeline.append(page.events);
    this.#next = page.next;
    this.isBehind = page.more;
    // What comes from now on is behind the page; what came while it was read may be in it.
    this.#held = null;
    if (!this.isBehind) this.timeline.append(held);
  }

  /** @param {string} busy @param {Record<string, string | undefined>} from @returns {Promise<any>} */
  async #read(busy, from) {
    this.busy.value = busy;
    this.problem.value = "";
    try {
      return await api.listEvents({ ...from, subject: this.subjects, limit: PAGE });
    } catch (error) {
      this.problem.value = error instanceof Error ? error.message : String(error);
      return null;
    } finally {
      this.busy.value = "";
    }
  }

  /** @param {any[]} events */
  #take(events) {
    const { subjects } = this;
    const mine = subjects.length ? events.filter(({ subject = "" }) => subjects.some((pattern) => covers(pattern, subject))) : events;
    if (this.#held) this.#held.push(...mine);
    if (this.#held || this.isBehind) return;
    const fresh = this.#through.size ? mine.filter(this.#isBehindFirstPage) : mine;
    if (fresh.length === 0) return;
    this.timeline.append(fresh);
    this.#changed();
  }

  /** In a flood the page may be newer than what was sent until then: what is before it is read on the way up. */
  #isBehindFirstPage = (/** @type {any} */ { cursor }) => {
    if (!cursor) return true;
    const [life, seq] = placeOf(cursor);
    return seq > (this.#through.get(life) ?? 0);
  };

  /** @param {string} [reason] */
  #gap(reason) {
    if (this.isBehind) return;
    this.timeline.note(reason === "expired" ? EXPIRED : ANEW);
    this.#changed();
  }

  #changed() {
    if (!this.#isClosed) this.version.value += 1;
  }
}

/** @type {Source | undefined} */
let current;
let currentKey = "";

/**
 * The source of what is wanted; the one from before goes on where the same is wanted, also after one was elsewhere.
 *
 * @param {string[]} subjects
 * @param {Start} start
 */
export function sourceOf(subjects, start) {
  const key = JSON.stringify([subjects, start]);
  if (!current || key !== currentKey) {
    current?.close();
    current = new Source(subjects, start);
    currentKey = key;
  }
  return current;
}

export { matcher };
