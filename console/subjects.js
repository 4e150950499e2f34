/** Patterns of subjects, as NATS has them. */

/**
 * Whether `pattern` covers a subject, or all that another pattern without `>` matches.
 *
 * @param {string} pattern
 * @param {string} subject
 */
export function covers(pattern, subject) {
  const have = pattern.split(".");
  const want = subject.split(".");
  for (const [at, token] of have.entries()) {
    if (token === ">") return want.length > at;
    if (at >= want.length || (token !== "*" && token !== want[at])) return false;
  }
  return have.length === want.length;
}
