/** How far a task has come, from what anybody may have told. */

import { short } from "../format.js";

/**
 * @typedef {object} Progress
 * @property {number | undefined} share  from 0 to 1; undefined where there is no telling
 * @property {string} words              such as `3 of 10 · 2.1/s · 4 s left`
 * @property {string} note
 */

const NUMBER = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });

/** @param {unknown} value @returns {value is number} */
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** @param {number} share */
const within = (share) => Math.min(1, Math.max(0, share));

/**
 * @param {unknown} told  `{done, total, rate, eta_s, note}`, or a number: a share, or a percentage above 1
 * @param {boolean} [goesOn]  whether rate and remaining time still say something
 * @returns {Progress}
 */
export function progressOf(told, goesOn = true) {
  if (isNumber(told)) {
    const share = within(told > 1 ? told / 100 : told);
    return { share, words: `${Math.round(share * 100)} %`, note: "" };
  }
  if (typeof told !== "object" || told === null || Array.isArray(told)) return { share: undefined, words: "", note: short(told) };
  const { done, total, rate, eta_s: left, note, ...rest } = /** @type {Record<string, unknown>} */ (told);
  const counts = isNumber(done);
  const words = [
    counts ? (isNumber(total) ? `${NUMBER.format(done)} of ${NUMBER.format(total)}` : NUMBER.format(done)) : "",
    goesOn && isNumber(rate) ? `${NUMBER.format(rate)}/s` : "",
    goesOn && isNumber(left) && left > 0 ? `${duration(left)} left` : "",
  ];
  return {
    share: counts && isNumber(total) && total > 0 ? within(done / total) : undefined,
    words: words.filter(Boolean).join(" · "),
    note: short(note) || (counts ? "" : short(Object.keys(rest).length ? rest : null)),
  };
}

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 1) return "less than 1 s";
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  if (seconds < 3_570) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
  return `${Math.round(seconds / 86_400)} days`;
}
