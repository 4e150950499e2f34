/** What follows from the end of a connection: whether to come back, and when. No I/O. */

const BACKOFF_FIRST_MS = 500;
const BACKOFF_MOST_MS = 20_000;

/**
 * What to do when the server closes with one of these codes: nothing (`fail`), come back as its `reconnect` event told,
 * with a new token, or later than usual. Any other code, such as 4408 for too slow: resume after a back-off.
 *
 * @type {Readonly<Record<number, "fail" | "told" | "token" | "later">>}
 */
export const CLOSE_CODES = Object.freeze({
  1000: "fail", // done
  1002: "fail", // not the WebSocket protocol
  1003: "fail", // only text is understood
  1007: "fail", // not UTF-8
  1011: "later", // the edge failed
  1012: "told", // the edge restarts
  4400: "fail", // the request makes no sense
  4401: "token", // missing, wrong or expired
  4403: "fail", // not allowed
  4429: "later", // too many
});

/**
 * The wait before attempt `attempt` (from 0), by full jitter: anything from nothing to a ceiling that doubles from
 * half a second to 20 s. (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.)
 *
 * @param {number} attempt
 * @param {() => number} [random]  in [0, 1)
 * @returns {number} milliseconds
 */
export function backoff(attempt, random = Math.random) {
  return random() * Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** attempt);
}
