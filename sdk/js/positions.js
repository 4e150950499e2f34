/** Where a client stands in the log, and what the next frame means there. No I/O. */

const MOST_BREAKS = 3;
const MOST_REMEMBERED = 1_000;

const CURSOR = /^([A-Z])([a-z0-9]+)-(\d+)$/;

/**
 * Compare two cursors: below 0 where `a` is older, 0 where they are the same, above 0 where `a` is newer; NaN where
 * they cannot be compared, being of different streams or epochs.
 *
 * @param {string | undefined} a
 * @param {string | undefined} b
 * @returns {number}
 */
export function compareCursors(a, b) {
  const x = CURSOR.exec(a ?? "");
  const y = CURSOR.exec(b ?? "");
  if (!x || !y || x[1] !== y[1] || x[2] !== y[2]) return NaN;
  // As text: a sequence may exceed what a number holds exactly.
  return x[3].length - y[3].length || Number(x[3] > y[3]) - Number(x[3] < y[3]);
}

/** Where an application stands in each stream, and what the next frame means there. No I/O. */
export class Positions {
  /** @type {Map<string, string>} by a stream's letter, the newest cursor handed to the application */
  #seen = new Map();
  /** @type {Map<string, Set<string>>} by a stream's letter, the last cursors that were handed on */
  #recent = new Map();
  /** @type {Map<string, string>} by a stream's letter, the position behind which nothing is remembered */
  #floor = new Map();
  /** @type {Map<string, string>} by a stream's letter, from where the server said that live frames go on */
  #base = new Map();
  #breaks = 0;

  /** @param {string | null} [since] such as `Rk3f-120.Sp9a-88`; what is no cursor in it is left out */
  constructor(since) {
    for (const cursor of (since ?? "").split(".")) {
      if (CURSOR.test(cursor)) this.#seen.set(cursor[0], cursor);
    }
    this.#floor = new Map(this.#seen);
  }

  /** The positions as `since` takes them; empty where nothing is known yet. */
  get since() {
    return [...new Map([...this.#base, ...this.#seen]).values()].join(".");
  }

  /**
   * A socket was greeted with these positions, by stream letter.
   *
   * @param {Record<string, string>} cursors
   */
  start(cursors) {
    this.#base = new Map(Object.values(cursors).filter((cursor) => CURSOR.test(cursor)).map((c) => [c[0], c]));
  }

  /**
   * The server owes nothing before `to` any more.
   *
   * @param {string | undefined} to
   */
  skip(to) {
    if (!to || !CURSOR.test(to)) return;
    this.#seen.delete(to[0]);
    this.#recent.delete(to[0]);
    this.#floor.set(to[0], to);
    this.#base.set(to[0], to);
  }

  /**
   * Judge a frame, and stand on it unless it is `known` or `broken`.
   *
   * - `new`: hand it on
   * - `known`: was handed on before
   * - `broken`: something before it did not arrive; resume from `since`
   * - `lost`: resuming did not bring what is missing either; hand it on and tell of the gap
   *
   * @param {{ cursor?: string, prev?: string }} frame
   * @returns {"new" | "known" | "broken" | "lost"}
   */
  take({ cursor, prev }) {
    if (!cursor) return "new";
    const letter = cursor[0];
    const seen = this.#seen.get(letter);
    const base = this.#base.get(letter);
    if (compareCursors(cursor, seen) <= 0) return this.#isLate(cursor) ? "new" : "known";
    const whole =
      !prev || (!seen && !base) || compareCursors(prev, seen) <= 0 || compareCursors(prev, base) <= 0;
    if (!whole && ++this.#breaks < MOST_BREAKS) return "broken";
    // A replayed frame proves nothing: the break may come again right after it.
    if (prev) this.#breaks = 0;
    this.#seen.set(letter, cursor);
    this.#remember(letter, cursor);
    return whole ? "new" : "lost";
  }

  /**
   * An edge that finds a loss after it has shown later events shows what was lost then. So an older cursor is not known
   * by being older, only by having been here.
   *
   * @param {string} cursor
   */
  #isLate(cursor) {
    const letter = cursor[0];
    if (this.#recent.get(letter)?.has(cursor) || !(compareCursors(cursor, this.#floor.get(letter)) > 0)) return false;
    this.#remember(letter, cursor);
    return true;
  }

  /**
   * @param {string} letter
   * @param {string} cursor
   */
  #remember(letter, cursor) {
    const recent = this.#recent.get(letter) ?? new Set();
    this.#recent.set(letter, recent.add(cursor));
    // What is older than all that a connection has brought was not missing in it.
    if (!this.#floor.has(letter)) this.#floor.set(letter, this.#base.get(letter) ?? cursor);
    if (recent.size <= MOST_REMEMBERED) return;
    const [oldest] = recent;
    recent.delete(oldest);
    if (!(compareCursors(oldest, this.#floor.get(letter)) <= 0)) this.#floor.set(letter, oldest);
  }
}
