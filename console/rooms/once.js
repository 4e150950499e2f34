/** Events once each: what is read from the log comes live as well, at the start. No page, no network. */

const MOST_CURSORS = 20_000;

export class Once {
  #cursors = new Set();

  /**
   * @param {any[]} events
   * @returns {Generator<any>} those that did not come before; what came long ago is forgotten
   */
  *of(events) {
    for (const event of events) {
      if (this.#cursors.has(event.cursor)) continue;
      if (this.#cursors.size >= MOST_CURSORS) this.#cursors.clear();
      this.#cursors.add(event.cursor);
      yield event;
    }
  }
}
