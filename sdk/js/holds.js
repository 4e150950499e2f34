/** Who holds on to a topic that is shared, and from where each goes on. No I/O. */

import { Positions, compareCursors } from "./positions.js";

/**
 * One's hold on a topic.
 *
 * @typedef {object} Hold
 * @property {"waiting" | "behind" | "live"} state  not asked for yet; asked for, and catching up; up to date
 * @property {Positions | null} positions           what one was shown; null where one begins with the newest events
 * @property {number} [history]
 * @property {string[]} [types]
 */

/**
 * @typedef {object} Shared
 * @property {Map<string, Hold>} holds   by client
 * @property {boolean} isAsked           the server was asked for it, and has not caught up yet
 * @property {boolean} isByHistory       it was asked for its newest events: others may lack what is older
 * @property {boolean} isLive
 * @property {string[]} [types]          what it carries
 * @property {Positions} positions       up to where it was shown
 */

/** @param {string} since @returns {Record<string, string>} by a stream's letter */
export const byLetter = (since) => Object.fromEntries(since.split(".").filter(Boolean).map((cursor) => [cursor[0], cursor]));

/**
 * Whether a topic carries all that one asks for.
 *
 * @param {Shared} shared
 * @param {Hold} hold
 */
function carries(shared, hold) {
  return !shared.types || (hold.types?.every((type) => shared.types?.includes(type)) ?? false);
}

/**
 * Whether one may go on from where a topic stands.
 *
 * @param {Shared} shared
 * @param {Hold} hold
 */
export function isCovered(shared, hold) {
  const { positions, history } = hold;
  if (!carries(shared, hold)) return false;
  if (!positions) return !history;
  const own = byLetter(positions.since);
  const stood = Object.entries(byLetter(shared.positions.since));
  return stood.every(([letter, at]) => !own[letter] || compareCursors(own[letter], at) >= 0);
}

/**
 * A topic was asked for its newest events: who lacks something before them, or of other types, is to be asked for next.
 *
 * @param {Shared} shared
 * @param {Record<string, string>} cursors  where these events begin
 */
export function putOff(shared, cursors) {
  shared.isByHistory = false;
  for (const hold of shared.holds.values()) {
    const own = byLetter(hold.positions?.since ?? "");
    const isWhole = Object.entries(cursors).every(([letter, from]) => compareCursors(from, own[letter]) <= 0);
    if (hold.state === "live" && !(isWhole && carries(shared, hold))) hold.state = "waiting";
  }
}

/**
 * Where one knew nothing of a stream, nothing before its greeting is shown.
 *
 * @param {Hold} hold
 * @param {Record<string, string>} cursors  of the greeting
 */
export function stand(hold, cursors) {
  const known = byLetter(hold.positions?.since ?? "");
  if (hold.positions && Object.keys(cursors).every((letter) => letter in known)) return;
  hold.positions = new Positions(Object.values({ ...cursors, ...known }).join("."));
}

/**
 * From where on nobody lacks anything.
 *
 * @param {Map<string, Hold>} holds
 */
export function oldest(holds) {
  /** @type {Record<string, string>} */ const found = {};
  for (const { state, positions } of holds.values()) {
    if (state === "waiting") continue;
    for (const [letter, cursor] of Object.entries(byLetter(positions?.since ?? ""))) {
      // Of another epoch: who still has the older one is told of the gap.
      if (!found[letter] || !(compareCursors(cursor, found[letter]) >= 0)) found[letter] = cursor;
    }
  }
  return Object.values(found).join(".");
}
