/** How many events each agent makes: a short history of counts, for a picture and a number. No page, no network. */

/** How many steps of how long are kept. */
export const STEPS = 30;
export const STEP_MS = 2_000;

/** Who made an event, by its subject; empty where it does not say. @param {string} subject */
export function makerOf(subject) {
  const [domain, id, , author] = subject.split(".");
  return domain === "agent" ? (id ?? "") : domain === "presence" || domain === "session" ? "" : (author ?? "");
}

export class Rates {
  /** @type {Map<string, { step: number, counts: number[] }>} by agent, `counts` up to `step` */
  #known = new Map();

  /** @param {number} [most]  how many agents are kept */
  constructor(most = 2_000) {
    this.most = most;
  }

  /** @param {string} agent @param {number} at  milliseconds */
  count(agent, at) {
    const known = this.#known.get(agent) ?? { step: 0, counts: new Array(STEPS).fill(0) };
    if (!this.#known.has(agent) && this.#known.size >= this.most) this.#known.delete(/** @type {string} */ (this.#known.keys().next().value));
    this.#known.set(agent, known);
    const counts = this.#shift(known, Math.floor(at / STEP_MS));
    counts[STEPS - 1] += 1;
  }

  /** The counts up to now, oldest first. @param {string} agent @param {number} now @returns {number[]} */
  of(agent, now) {
    const known = this.#known.get(agent);
    return known ? [...this.#shift(known, Math.floor(now / STEP_MS))] : new Array(STEPS).fill(0);
  }

  /** @param {{ step: number, counts: number[] }} known @param {number} step */
  #shift(known, step) {
    const passed = Math.min(STEPS, Math.max(0, step - known.step));
    if (passed > 0) known.counts.splice(0, passed);
    while (known.counts.length < STEPS) known.counts.push(0);
    known.step = Math.max(known.step, step);
    return known.counts;
  }
}
