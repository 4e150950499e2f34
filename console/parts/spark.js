/** A small picture of numbers over time. */

import { html } from "../vendor/preact.js";

const WIDTH = 90;
const HEIGHT = 24;

/**
 * @param {{ values: number[], label: string, most?: number }} props  `most` is the least that the full height stands for
 */
export function Spark({ values, label, most = 4 }) {
  const top = Math.max(most, ...values);
  const x = (/** @type {number} */ index) => ((index / Math.max(1, values.length - 1)) * WIDTH).toFixed(1);
  const y = (/** @type {number} */ value) => (HEIGHT - 1 - (value / top) * (HEIGHT - 2)).toFixed(1);
  const line = values.map((value, index) => `${index ? "L" : "M"}${x(index)} ${y(value)}`).join("");
  return html`
    <svg class="spark" viewBox="0 0 ${WIDTH} ${HEIGHT}" width=${WIDTH} height=${HEIGHT} role="img" aria-label=${label} preserveAspectRatio="none">
      <path class="spark-area" d=${`${line}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`} />
      <path class="spark-line" d=${line} />
    </svg>
  `;
}
