/** A message that is being written, put together from its pieces (`chat.delta`). No page, no network. */

export class Assembly {
  /** @type {string | null} who writes it */
  #run = null;
  /** @type {Set<string>} who wrote it before, and counts no more */
  #older = new Set();
  /** @type {Map<number, string>} by index */
  #pieces = new Map();
  /** What stands in order from the lowest index on, as far as it was asked for. */
  #text = "";
  #next = 0;
  #highest = -1;

  /**
   * Take a piece. The first run that is seen counts, until another one begins, with index 0.
   *
   * @param {any} payload  of a `chat.delta`
   * @returns {boolean} false for one of an older run, or one that was there before
   */
  take({ run, index, text }) {
    const name = typeof run === "string" ? run : "";
    if (this.#older.has(name)) return false;
    if (this.#run === null) this.#run = name;
    else if (name !== this.#run) {
      if (index !== 0) return false;
      this.#older.add(this.#run);
      this.#run = name;
      this.#pieces.clear();
      this.#highest = -1;
      this.#again();
    }
    const at = Number.isSafeInteger(index) && index >= 0 ? index : this.#highest + 1;
    if (this.#pieces.has(at)) return false;
    this.#highest = Math.max(this.#highest, at);
    this.#pieces.set(at, typeof text === "string" ? text : "");
    if (at < this.#next) this.#again();
    return true;
  }

  /** The pieces that are there, in order. */
  get text() {
    while (this.#pieces.has(this.#next)) this.#text += this.#pieces.get(this.#next++);
    if (this.#next === this.#pieces.size) return this.#text;
    // Something is missing: as after a connection without a position to go on from. It is shown without.
    const late = [...this.#pieces.keys()].filter((index) => index >= this.#next).sort((a, b) => a - b);
    return this.#text + late.map((index) => this.#pieces.get(index)).join("");
  }

  #again() {
    this.#text = "";
    this.#next = 0;
  }
}
