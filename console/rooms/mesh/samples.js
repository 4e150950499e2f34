/** What the mesh told of itself, over time. No page, no network. */

/**
 * @typedef {object} Sample
 * @property {number} at             seconds since 1970
 * @property {number | null} stored      events a second
 * @property {number | null} delivered   frames a second
 * @property {number | null} p50         milliseconds
 * @property {number | null} p99
 * @property {number} sockets
 * @property {number} topics
 */

const MOST = 900;
const LOGS = ["RECORDS", "SIGNALS"];

/** The sum of what is known; null where nothing is. @param {Array<number | null | undefined>} values */
export function sum(values) {
  const known = values.filter((value) => typeof value === "number");
  return known.length ? known.reduce((all, value) => /** @type {number} */ (all) + /** @type {number} */ (value), 0) ?? null : null;
}

/** @param {Array<number | null | undefined>} values */
export function largest(values) {
  const known = /** @type {number[]} */ (values.filter((value) => typeof value === "number"));
  return known.length ? Math.max(...known) : null;
}

/**
 * @param {any} told  what `GET /api/v1/mesh` answered
 * @returns {Sample}
 */
export function sampleOf({ timestamp, edges, streams }) {
  const logs = streams.filter((/** @type {any} */ { name }) => LOGS.includes(name));
  return {
    at: (Date.parse(timestamp) || Date.now()) / 1000,
    stored: sum(logs.map((/** @type {any} */ stream) => stream.stored_per_s)),
    delivered: sum(edges.map((/** @type {any} */ edge) => edge.deliveries_per_s)),
    p50: largest(edges.map((/** @type {any} */ edge) => edge.latency?.is_recent ? edge.latency.p50_ms : null)),
    p99: largest(edges.map((/** @type {any} */ edge) => edge.latency?.is_recent ? edge.latency.p99_ms : null)),
    sockets: sum(edges.map((/** @type {any} */ edge) => edge.sockets)) ?? 0,
    topics: sum(edges.map((/** @type {any} */ edge) => edge.topics)) ?? 0,
  };
}

export class Samples {
  /** @type {Sample[]} */
  all = [];

  /** @param {Sample} sample */
  add(sample) {
    if (sample.at <= (this.all.at(-1)?.at ?? 0)) return;
    this.all.push(sample);
    if (this.all.length > MOST) this.all.splice(0, this.all.length - MOST);
  }

  /**
   * As a chart takes them.
   *
   * @param {Array<keyof Sample>} names
   * @returns {Array<Array<number | null>>}
   */
  lines(names) {
    return [this.all.map(({ at }) => at), ...names.map((name) => this.all.map((sample) => sample[name]))];
  }
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** @param {number} count */
export function bytes(count) {
  const power = Math.min(UNITS.length - 1, count > 0 ? Math.floor(Math.log10(count) / 3) : 0);
  const value = count / 1000 ** power;
  return `${value.toLocaleString(undefined, { maximumFractionDigits: value < 10 && power ? 1 : 0 })} ${UNITS[power]}`;
}

/** @param {number} seconds */
export function age(seconds) {
  for (const [name, size] of /** @type {Array<[string, number]>} */ ([["day", 86_400], ["hour", 3_600], ["minute", 60]])) {
    if (seconds >= size) {
      const count = Math.round(seconds / size);
      return `${count} ${name}${count === 1 ? "" : "s"}`;
    }
  }
  return `${Math.round(seconds)} s`;
}
