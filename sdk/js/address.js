/** Where the sockets of a mesh are. No I/O. */

/**
 * The address of a topic's socket, and of the one for many topics.
 *
 * @param {string} target  a topic (`events`, `council`, `chat_<session>`, `agent_<id>`), a path (`/ws/events`) or a URL;
 *   empty for many topics
 * @param {string | URL | undefined} base
 * @param {Record<string, string | number | undefined>} [query]  what is undefined or empty is left out
 * @returns {string}
 */
export function socketUrl(target, base, query = {}) {
  const parts = target ? ["ws", ...target.split(/_(.*)/s, 2)] : ["ws"];
  const route = /[/:]/.test(target) ? target : parts.map(encodeURIComponent).join("/");
  const root = base ?? (globalThis.location && `${location.origin}/`);
  if (!root && !/^\w+:/.test(target)) throw new TypeError(`connect("${target}") needs a whole URL, or a base, outside a page`);
  const url = new URL(route, root);
  url.protocol = url.protocol.replace("http", "ws");
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, String(value));
  return url.href;
}
