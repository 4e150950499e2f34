/** The room of brains: which models there are, how their servers are, and how fast over time. */

import * as api from "../api.js";
import { Chart } from "../parts/chart.js";
import { Time } from "../parts/small.js";
import { Empty, Loading, Problem } from "../parts/states.js";
import { onEvents, onGap } from "../store/events.js";
import { html, signal, useEffect } from "../vendor/preact.js";
import { Brains, together } from "./brain/history.js";

const PAGE = 500;
const COLOURS = ["--accent", "--warn", "--good", "--bad"];
const PERCENT = /_percent$/;

let brains = new Brains();
const version = signal(0);
const asked = signal({ loaded: false, loading: false, problem: "" });

async function load() {
  if (asked.peek().loading) return;
  asked.value = { loaded: asked.peek().loaded, loading: true, problem: "" };
  try {
    const [told, page] = await Promise.all([api.brainStatus(), api.listEvents({ subject: ["brain.>"], limit: PAGE })]);
    brains.add(page.events);
    // A brain may have been silent for longer than the log was read.
    brains.add((told.brains ?? []).map((/** @type {any} */ brain) => ({ ...brain, subject: `brain.${brain.brain_id}.status` })));
    asked.value = { loaded: true, loading: false, problem: "" };
  } catch (error) {
    asked.value = { ...asked.peek(), loading: false, problem: error instanceof Error ? error.message : String(error) };
  }
  version.value += 1;
}

onEvents((events) => {
  const mine = events.filter(({ event_type }) => event_type === "brain.status");
  if (mine.length === 0) return;
  brains.add(mine);
  version.value += 1;
});

onGap(() => {
  brains = new Brains();
  load();
});

/** @type {Record<string, string>} */
const SAYS = { latency_ms: "list of models", first_token_ms: "first token" };

/** @type {Record<string, string>} by the last word of a figure's name */
const UNITS = { mib: "MiB", ms: "ms", s: "s" };

/** A figure with its unit behind it: `memory mib` of 2048 is `memory`, 2,048 MiB. @param {string} name @param {string} value */
function withUnit(name, value) {
  const [, what, unit] = /^(.+) (mib|ms|s)$/.exec(name) ?? [];
  const number = Number(value);
  return what && Number.isFinite(number) ? [what, `${number.toLocaleString()} ${UNITS[unit]}`] : [name, value];
}

/** @param {{ brain: import("./brain/history.js").Brain }} props */
function Card({ brain }) {
  const waits = ["first_token_ms", "latency_ms"].filter((name) => brain.figures.has(name));
  const shares = [...brain.figures.keys()].filter((name) => PERCENT.test(name)).slice(0, COLOURS.length);
  const lines = (/** @type {string[]} */ names) => names.map((name, index) => ({ label: SAYS[name] ?? name.replace(PERCENT, ""), colour: COLOURS[index] }));
  return html`
    <li class="brain" data-brain=${brain.id}>
      <header><h3>${brain.id}</h3><span class="badge" data-status=${brain.state}>${brain.state}</span></header>
      ${brain.reason && html`<p class="reason">${brain.reason}</p>`}
      ${waits.length > 0 && html`<${Chart} title="Latency" unit="ms" lines=${lines(waits)} data=${together(brain, waits)} />`}
      ${shares.length > 0 && html`<${Chart} title="Load" unit="%" lines=${lines(shares)} data=${together(brain, shares)} />`}
      <dl class="figures">
        ${brain.model && html`<div><dt>model</dt><dd>${brain.model}</dd></div>`}
        ${brain.server && html`<div><dt>server</dt><dd>${brain.server}</dd></div>`}
        ${brain.facts.filter(([name]) => ![...waits, ...shares].includes(name.replaceAll(" ", "_"))).map(([name, value]) => withUnit(name, value)).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
      </dl>
      ${brain.models.length > 1 && html`<p class="models"><span>It has</span>${brain.models.map((model) => html`<code key=${model} data-asked=${model === brain.model}>${model}</code>`)}</p>`}
      <footer>told <${Time} at=${brain.at} /></footer>
    </li>
  `;
}

export default function Brain() {
  void version.value;
  const { loaded, problem } = asked.value;
  useEffect(() => {
    if (!asked.peek().loaded) load();
  }, []);
  const { all } = brains;
  return html`
    <section id="brain" class="pane" aria-labelledby="brain-title">
      <header class="pane-head"><h2 id="brain-title">Brain</h2><span class="count">${all.length > 1 && all.length}</span></header>
      ${problem && all.length === 0 && html`<${Problem} title="The brains could not be read" text=${problem} retry=${load} />`}
      ${!loaded && !problem && all.length === 0 && html`<${Loading} label="Loading brains" />`}
      ${loaded &&
      all.length === 0 &&
      html`<${Empty} title="No brain yet"><p>A brain answers with a language model: <code>OPENAI_BASE_URL=… mesh brain</code></p><//>`}
      <div class="brains" tabindex="0" role="group" aria-label="All brains"><ul aria-label="Brains">${all.map((brain) => html`<${Card} key=${brain.id} brain=${brain} />`)}</ul></div>
    </section>
  `;
}
