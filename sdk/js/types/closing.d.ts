/**
 * The wait before attempt `attempt` (from 0), by full jitter: anything from nothing to a ceiling that doubles from
 * half a second to 20 s. (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.)
 *
 * @param {number} attempt
 * @param {() => number} [random]  in [0, 1)
 * @returns {number} milliseconds
 */
export function backoff(attempt: number, random?: () => number): number;
/**
 * What to do when the server closes with one of these codes: nothing (`fail`), come back as its `reconnect` event told,
 * with a new token, or later than usual. Any other code, such as 4408 for too slow: resume after a back-off.
 *
 * @type {Readonly<Record<number, "fail" | "told" | "token" | "later">>}
 */
export const CLOSE_CODES: Readonly<Record<number, "fail" | "told" | "token" | "later">>;
