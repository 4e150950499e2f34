/** Lines over time. What draws them is loaded when the first of them is shown. */

import { html, useEffect, useRef, useState } from "../vendor/preact.js";

/**
 * @typedef {object} Line
 * @property {string} label
 * @property {string} colour  the name of a custom property, such as `--accent`
 */

/** As long a time as a chart shows at least, or else its first points would stand at one and the same second. */
const SHORTEST_S = 30;

/**
 * From when to when it shows; where it has no points yet, until now.
 *
 * @param {{ data?: Array<Array<number | null>> }} plot
 * @param {number | null} from
 * @param {number | null} to  a day behind `from` where there is a single point: uPlot has it so
 */
export function spanOf({ data }, from, to) {
  const end = (data?.[0]?.length === 1 ? from : to) ?? Date.now() / 1000;
  return [Math.min(from ?? end, end - SHORTEST_S), end];
}

/** @type {Promise<any> | undefined} */
let drawing;

/** @param {HTMLElement} element @param {string} name */
const colourOf = (element, name) => getComputedStyle(element).getPropertyValue(name).trim();

/** A colour as a canvas takes it, whatever the theme makes of it. @param {HTMLElement} element @param {string} name */
function resolved(element, name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color || colourOf(element, name);
}

/** @param {number | null | undefined} value */
export const figure = (value) => (value === null || value === undefined ? "–" : value >= 100 ? Math.round(value).toLocaleString() : value.toLocaleString(undefined, { maximumFractionDigits: value >= 10 ? 1 : 2 }));

/**
 * @param {object} props
 * @param {string} props.title
 * @param {string} props.unit
 * @param {Line[]} props.lines
 * @param {Array<Array<number | null>>} props.data  seconds since 1970, then the values of each line
 * @param {number} [props.height]
 */
export function Chart({ title, unit, lines, data, height = 150 }) {
  const box = useRef(/** @type {any} */ (null));
  const plot = useRef(/** @type {any} */ (null));
  const [problem, setProblem] = useState("");
  const [theme, setTheme] = useState(0);
  const latest = useRef(data);
  latest.current = data;

  useEffect(() => {
    let left = false;
    const element = box.current;
    const make = (/** @type {any} */ { UPlot }) => {
      if (left) return;
      const quiet = resolved(element, "--muted");
      const grid = { stroke: resolved(element, "--line"), width: 1 };
      const axis = { stroke: quiet, grid, ticks: { show: false }, font: "11px system-ui, sans-serif" };
      plot.current = new UPlot(
        {
          width: element.clientWidth,
          height,
          legend: { show: false },
          cursor: { y: false, points: { size: 6 } },
          padding: [8, 14, 0, 0],
          scales: { x: { range: spanOf }, y: { range: (/** @type {any} */ _, /** @type {number} */ __, /** @type {number} */ most) => [0, most > 0 ? most * 1.15 : 1] } },
          axes: [
            { ...axis, size: 26, space: 90, values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map((each) => new Date(each * 1000).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" })) },
            { ...axis, size: 44, space: 34, values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map(figure) },
          ],
          series: [
            {},
            ...lines.map(({ label, colour }, index) => ({
              label,
              stroke: resolved(element, colour),
              width: 1.75,
              spanGaps: true,
              points: { show: (/** @type {any} */ { data: [times] }) => times.length < 3 },
              fill: index === 0 ? `color-mix(in srgb, ${resolved(element, colour)} 12%, transparent)` : undefined,
            })),
          ],
        },
        latest.current,
        element,
      );
    };
    drawing ??= import("../vendor/uplot.js");
    drawing.then(make).catch((error) => {
      drawing = undefined;
      if (!left) setProblem(error instanceof Error ? error.message : String(error));
    });
    const observer = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      left = true;
      observer.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [theme, lines.map(({ label }) => label).join(), height]);

  useEffect(() => {
    plot.current?.setData(data);
  }, [data]);

  useEffect(() => {
    const turn = () => setTheme((count) => count + 1);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const observer = new MutationObserver(turn);
    observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    dark.addEventListener("change", turn);
    return () => {
      observer.disconnect();
      dark.removeEventListener("change", turn);
    };
  }, []);

  const now = lines.map(({ label }, index) => `${label} ${figure(data[index + 1]?.at(-1))} ${unit}`).join(", ");
  return html`
    <figure class="chart">
      <figcaption>
        <span class="title">${title} <span class="unit">in ${unit}</span></span>
        ${lines.map(({ label, colour }, index) => html`<span class="line" key=${label}><i style=${{ background: `var(${colour})` }}></i>${label} <b>${figure(data[index + 1]?.at(-1))}</b></span>`)}
      </figcaption>
      ${problem ? html`<p class="problem">The picture could not be drawn. ${problem}</p>` : html`<div class="plot" ref=${box} role="img" aria-label=${`${title}: ${now}`} style=${{ height: `${height}px` }}></div>`}
    </figure>
  `;
}
