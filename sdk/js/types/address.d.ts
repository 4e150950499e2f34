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
export function socketUrl(target: string, base: string | URL | undefined, query?: Record<string, string | number | undefined>): string;
