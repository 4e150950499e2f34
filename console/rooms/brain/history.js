/** How brains were over time, by what they told. No page, no network. */

import { short } from "../../format.js";
import { Once } from "../once.js";

/**
 * @typedef {object} Brain
 * @property {string} id
 * @property {number} at          milliseconds, of its last word
 * @property {string} state
 * @property {string} reason
 * @property {string} model       the one that is asked
 * @property {string[]} models
 * @property {string} server
 * @property {Array<[string, string]>} facts  what else it tells
 * @property {Map<string, Array<[number, number]>>} figures  by name: seconds since 1970 and value
 */

const MOST_POINTS = 1_000;
const MOST_BRAINS = 100;
const MOST_FIGURES = 24;
const MOST_MODELS = 100;
const SHOWN = new Set(["state", "model", "models", "server", "reason"]);

/** @param {unknown} value */
const text = (value) => (typeof value === "string" ? short(value) : "");

export class Brains {
  /** @type {Map<string, Brain>} */
  #brains = new Map();
  #once = new Once();

  /** @param {any[]} events  in the order of the log */
  add(events) {
    for (const event of this.#once.of(events)) this.#take(event);
  }

  /** By their names. */
  get all() {
    return [...this.#brains.values()].sort((a, b) => a.id.localeCompare(b.id)).slice(0, MOST_BRAINS);
  }

  /** @param {any} event */
  #take({ subject = "", payload, timestamp }) {
    const id = String(subject).split(".")[1] || text(payload?.brain_id);
    if (!id || (!this.#brains.has(id) && this.#brains.size >= MOST_BRAINS)) return;
    const said = payload?.status;
    const status = typeof said === "object" && said !== null && !Array.isArray(said) ? said : { state: short(said) };
    const at = Date.parse(timestamp ?? "") || Date.now();
    const before = this.#brains.get(id);
    const figures = before?.figures ?? new Map();
    for (const [name, value] of Object.entries(status)) {
      if (typeof value !== "number" || !Number.isFinite(value)) continue;
      if (!figures.has(name) && figures.size >= MOST_FIGURES) continue;
      const points = figures.get(name) ?? [];
      if (points.length && points.at(-1)[0] >= at / 1000) continue;
      points.push([at / 1000, value]);
      if (points.length > MOST_POINTS) points.splice(0, points.length - MOST_POINTS);
      figures.set(name, points);
    }
    if (before && before.at > at) return;
    const others = Object.entries(status).filter(([name, value]) => !SHOWN.has(name) && value !== null && typeof value !== "object");
    this.#brains.set(id, {
      id,
      at,
      state: text(status.state) || "unknown",
      reason: text(status.reason),
      model: text(status.model),
      models: (Array.isArray(status.models) ? status.models : []).map(text).filter(Boolean).slice(0, MOST_MODELS),
      server: text(status.server),
      facts: others.map(([name, value]) => [name.replaceAll("_", " "), short(value)]),
      figures,
    });
  }
}

/**
 * Some of its figures side by side, as lines over time.
 *
 * @param {Brain} brain
 * @param {string[]} names
 * @returns {Array<Array<number | null>>}  seconds, then the values of each
 */
export function together({ figures }, names) {
  const maps = names.map((name) => new Map(figures.get(name) ?? []));
  const times = [...new Set(maps.flatMap((map) => [...map.keys()]))].sort((a, b) => a - b);
  return [times, ...maps.map((map) => times.map((time) => map.get(time) ?? null))];
}
