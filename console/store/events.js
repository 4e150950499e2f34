/** The feed of everything, which all rooms share: each event once, handed on once for each frame. */

import { inFrame } from "../frame.js";
import { follow } from "./link.js";
import { session } from "./kept.js";

/** @typedef {import("../../sdk/js/mesh.js").MeshEvent} MeshEvent */
/** @typedef {{ reason?: string }} Gap */
/** @typedef {(events: MeshEvent[], news: boolean[]) => void} Hearer  `news` says of each whether it came after the page was opened */

const HISTORY = 150;
const MOST_WAITING = 20_000;

/** @type {Set<Hearer>} */
const hearers = new Set();
/** @type {Set<(gap: Gap) => void>} */
const gapHearers = new Set();
/** @type {MeshEvent[]} */
let waiting = [];
/** @type {boolean[]} */
let waitingNews = [];

const kept = session.read("feed", /** @type {any} */ ({}));

// What the first connection brings from before the page was opened is no news.
let news = Boolean(kept.since);

export const events = follow("events", { since: kept.since, history: kept.since ? undefined : HISTORY });

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
  for (const hear of gapHearers) hear(gap);
});

function flush() {
  const [all, fresh] = [waiting, waitingNews];
  waiting = [];
  waitingNews = [];
  if (all.length === 0) return;
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
 * @param {(gap: Gap) => void} hear
 * @returns {() => void}  hears no more
 */
export function onGap(hear) {
  gapHearers.add(hear);
  return () => void gapHearers.delete(hear);
}

addEventListener("pagehide", () => {
  flush();
  session.write("feed", { since: events.since });
});
