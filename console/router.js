/** Where one is: the address after `#`, such as `#/chat/s1` or `#/activity?type=chat.message`. */

import { signal } from "./vendor/preact.js";

/**
 * @typedef {object} Route
 * @property {string} room             empty where the address names none
 * @property {string[]} path           what follows it
 * @property {URLSearchParams} query
 */

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // as it stands, then: who looks for it says what is wrong with it
  }
}

/** @param {string} hash @returns {Route} */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#?\/?/, "").split(/\?(.*)/s);
  const [room = "", ...rest] = path.split("/").filter(Boolean).map(decoded);
  // So did addresses begin before there were rooms.
  return { room: room === "s" ? "chat" : room, path: rest, query: new URLSearchParams(query) };
}

/**
 * The address of a room, or of something in it.
 *
 * @param {string} room
 * @param {string[]} [path]
 * @param {Record<string, string | number | undefined | null>} [query]  what is empty is left out
 */
export function href(room, path = [], query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return `#/${[room, ...path].map(encodeURIComponent).join("/")}${search && `?${search}`}`;
}

/** Where one is now. */
export const route = signal(parse(location.hash));

/**
 * Go somewhere.
 *
 * @param {string} address  what `href` gave
 * @param {{ replace?: boolean }} [options]  whether the way back leaves out where one is now
 */
export function go(address, { replace = false } = {}) {
  if (replace) history.replaceState(null, "", address);
  else if (location.hash !== address) history.pushState(null, "", address);
  route.value = parse(address);
}

addEventListener("hashchange", () => (route.value = parse(location.hash)));
addEventListener("popstate", () => (route.value = parse(location.hash)));
