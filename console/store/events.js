/** The feed of everything, which all rooms share: each event once, handed on once for each frame. */

import { inFrame } from "../frame.js";
import { follow } from "./link.js";
import { session } from "./kept.js";
import { Feed } from "./feed.js";
import { signal } from "../vendor/preact.js";

/** @typedef {import("../../sdk/js/mesh.js").MeshEvent} MeshEvent */
/** @typedef {(events: MeshEvent[], news: boolean[]) => void} Hearer  `news` says of each whether it came after the page was opened */

const KEPT_ROWS = 150;
const MOST_WAITING = 20_000;

/** The newest events as rows; `feedVersion` counts up with each change. */
export const feed = new Feed();
export const feedVersion = signal(0);

/** @type {Set<Hearer>} */
const hearers = new Set();
/** @type {Set<(gap: { reason: string }) => void>} */
const gapHearers = new Set();
/** @type {MeshEvent[]} */
let waiting = [];
/** @type {boolean[]} */
let waitingNews = [];

const kept = session.read("feed", /** @type {any} */ ({}));
feed.restore(kept.rows);

// What the first connection brings from before the page was opened is no news.
let news = Boolean(kept.since);

export const events = follow("events", { since: kept.since, history: kept.since ? undefined : KEPT_ROWS });

events.on("recovered", () => (news = true));
events.on("*", (event) => {
  news ||= event.prev !== undefined;
  waiting.push(event);
  waitingNews.push(news);
  if (waiting.length >= MOST_WAITING) flush();
  else inFrame(flush);
});
events.on("gap", (gap) => {
  flush();
  feed.note(gap.reason === "expired" ? "Events in between are no longer kept." : "The log began anew; what was between is unknown.");
  feedVersion.value += 1;
  for (const hear of gapHearers) hear(gap);
});

function flush() {
  const [all, fresh] = [waiting, waitingNews];
  waiting = [];
  waitingNews = [];
  if (all.length === 0) return;
  for (const event of all) feed.add(event);
  feedVersion.value += 1;
  for (const hear of hearers) hear(all, fresh);
}

/**
 * Hear every event, as lists: one for each frame in which some came.
 *
 * @param {Hearer} hear
 * @returns {() => void}  hears no more
 */
export function onEvents(hear) {
  hearers.add(hear);
  return () => void hearers.delete(hear);
}

/**
 * Hear that something cannot be had any more: what was read before is to be read anew.
 *
 * @param {(gap: { reason: string }) => void} hear
 * @returns {() => void}  hears no more
 */
export function onGap(hear) {
  gapHearers.add(hear);
  return () => void gapHearers.delete(hear);
}

addEventListener("pagehide", () => {
  flush();
  session.write("feed", { since: events.since, rows: feed.save(KEPT_ROWS) });
});
