/** The room of the mesh itself: what runs, what goes through it, and how fast. It asks while it is looked at, and only then. */

import * as api from "../api.js";
import { Chart, figure } from "../parts/chart.js";
import { Time } from "../parts/small.js";
import { Loading, Notice, Problem } from "../parts/states.js";
import { agents } from "../store/world.js";
import { html, signal, useEffect, useMemo } from "../vendor/preact.js";
import { Picture } from "./mesh/picture.js";
import { Samples, age, bytes, largest, sampleOf } from "./mesh/samples.js";

const EVERY_MS = 2_000;

const samples = new Samples();
const told = signal(/** @type {any} */ (null));
const problem = signal("");
let asking = false;

async function ask() {
  if (asking) return;
  asking = true;
  try {
    const answer = await api.getMesh();
    samples.add(sampleOf(answer));
    told.value = answer;
    problem.value = "";
  } catch (error) {
    problem.value = error instanceof Error ? error.message : String(error);
  } finally {
    asking = false;
  }
}

/** @param {{ label: string, value: string, unit?: string, says?: any }} props */
const Tile = ({ label, value, unit, says }) => html`
  <div class="tile"><dt>${label}</dt><dd><b>${value}</b>${unit && html` <span>${unit}</span>`}${says && html`<small>${says}</small>`}</dd></div>
`;

/** @param {{ stream: any, nodes: any[] }} props */
function Stream({ stream, nodes }) {
  const share = stream.max_bytes ? stream.bytes / stream.max_bytes : undefined;
  const limits = [stream.max_bytes && bytes(stream.max_bytes), stream.max_age_s && age(stream.max_age_s)].filter(Boolean).join(", ");
  const copies = new Map(stream.copies.map((/** @type {any} */ copy) => [copy.node, copy]));
  return html`
    <tr>
      <th scope="row">${stream.name}</th>
      <td class="number">${stream.messages.toLocaleString()}</td>
      <td>
        <span class="meter-line">${bytes(stream.bytes)}${share !== undefined && html`<meter min="0" max="1" low="0.7" high="0.9" optimum="0" value=${share} aria-label=${`${stream.name}: ${Math.round(share * 100)} % of its limit`}></meter>`}</span>
      </td>
      <td>${limits || "none"}</td>
      <td class="number">${figure(stream.stored_per_s)}</td>
      ${nodes.map(({ name }) => {
        const copy = copies.get(name);
        const says = !copy ? "no copy" : copy.leads ? "leads" : copy.offline ? "gone" : copy.current ? "follows" : `${copy.lag} behind`;
        return html`<td key=${name}><span class="holds" data-holds=${!copy ? "none" : copy.leads ? "leads" : copy.current ? "follows" : "behind"}>${says}</span></td>`;
      })}
      <td>${stream.last_at && html`<${Time} at=${Date.parse(stream.last_at)} />`}</td>
    </tr>
  `;
}

/** @param {{ title: string, heads: string[], rows: any[][], none: string }} props  of each row the first cell names it */
const Table = ({ title, heads, rows, none }) => html`
  <section class="part">
    <h3>${title}</h3>
    ${rows.length === 0
      ? html`<p class="quiet">${none}</p>`
      : html`<div class="scroll" tabindex="0" role="group" aria-label=${title}>
          <table>
            <thead><tr>${heads.map((head) => html`<th scope="col" key=${head}>${head}</th>`)}</tr></thead>
            <tbody>${rows.map(([name, ...cells]) => html`<tr key=${name}><th scope="row">${name}</th>${cells.map((cell) => html`<td class=${typeof cell === "string" && /^[\d–]/.test(cell) ? "number" : undefined}>${cell}</td>`)}</tr>`)}</tbody>
          </table>
        </div>`}
  </section>
`;

/** @param {{ at: string }} props */
const Since = ({ at }) => html`<${Time} at=${Date.parse(at)} />`;

/** @param {{ found: any }} props */
function Found({ found }) {
  const now = samples.all.at(-1);
  const flow = useMemo(() => samples.lines(["stored", "delivered"]), [found]);
  const waits = useMemo(() => samples.lines(["p50", "p99"]), [found]);
  const [p50, p99] = ["p50_ms", "p99_ms"].map((name) => largest(found.edges.map((/** @type {any} */ edge) => edge.latency?.[name])));
  const there = agents.value.filter((agent) => agent.there).length;
  const log = found.streams.filter((/** @type {any} */ { name }) => ["RECORDS", "SIGNALS"].includes(name));
  return html`
    <dl class="tiles">
      <${Tile} label="Stored" value=${figure(now?.stored)} unit="events/s" />
      <${Tile} label="Delivered" value=${figure(now?.delivered)} unit="frames/s" />
      <${Tile} label="Sockets" value=${figure(now?.sockets)} says=${`on ${now?.topics ?? 0} topic${now?.topics === 1 ? "" : "s"}`} />
      <${Tile} label="End to end" value=${figure(p50)} unit="ms" says=${`99 of 100 within ${figure(p99)} ms`} />
      <${Tile} label="In the log" value=${log.reduce((/** @type {number} */ all, /** @type {any} */ { messages }) => all + messages, 0).toLocaleString()} says=${bytes(log.reduce((/** @type {number} */ all, /** @type {any} */ each) => all + each.bytes, 0))} />
    </dl>
    <${Picture} told=${found} agents=${there} />
    <div class="charts">
      <${Chart} title="Throughput" unit="events/s" lines=${[{ label: "stored", colour: "--accent" }, { label: "delivered", colour: "--warn" }]} data=${flow} height=${170} />
      <${Chart} title="From publishing to the socket" unit="ms" lines=${[{ label: "half within", colour: "--good" }, { label: "99 of 100 within", colour: "--bad" }]} data=${waits} height=${170} />
    </div>
    <section class="part">
      <h3>Streams</h3>
      <div class="scroll" tabindex="0" role="group" aria-label="Streams">
        <table>
          <thead>
            <tr>${["Stream", "Messages", "Size", "Limits", "Stored/s"].map((head) => html`<th scope="col" key=${head}>${head}</th>`)}${found.nodes.map((/** @type {any} */ node) => html`<th scope="col" key=${node.name} class="node" title=${node.name}>${node.name}</th>`)}<th scope="col">Last</th></tr>
          </thead>
          <tbody>${found.streams.map((/** @type {any} */ stream) => html`<${Stream} key=${stream.name} stream=${stream} nodes=${found.nodes} />`)}</tbody>
        </table>
      </div>
      ${found.missing.length > 0 && html`<p class="problem">Nobody answers for ${found.missing.join(", ")}.</p>`}
    </section>
    <${Table}
      title="Edges"
      none="No edge answers: start one with mesh edge, or mesh up."
      heads=${["Edge", "Sockets", "Topics", "Delivered/s", "Half within", "99 of 100", "Refused", "Host", "Version", "Since"]}
      rows=${found.edges.map((/** @type {any} */ edge) => [edge.edge_id, edge.sockets.toLocaleString(), edge.topics.toLocaleString(), figure(edge.deliveries_per_s), edge.latency ? `${figure(edge.latency.p50_ms)} ms` : "–", edge.latency ? `${figure(edge.latency.p99_ms)} ms` : "–", edge.refused.toLocaleString(), edge.host, edge.version, html`<${Since} at=${edge.started} />`])}
    />
    <${Table}
      title="APIs"
      none="No API answers NATS."
      heads=${["API", "Requests/s", "Requests", "Errors", "On average", "Host", "Version", "Since"]}
      rows=${found.apis.map((/** @type {any} */ each) => [each.instance, figure(each.requests_per_s), each.requests.toLocaleString(), each.errors.toLocaleString(), `${figure(each.average_ms)} ms`, each.host, each.version, html`<${Since} at=${each.started} />`])}
    />
    ${found.brains.length > 0 &&
    html`<${Table}
      title="Brains"
      none=""
      heads=${["Brain", "State", "Model", "Answering", "Answers", "Errors", "Host", "Since"]}
      rows=${found.brains.map((/** @type {any} */ brain) => [brain.brain_id, brain.state ?? "–", brain.model ?? "–", String(brain.answering), brain.answers.toLocaleString(), brain.errors.toLocaleString(), brain.host, html`<${Since} at=${brain.started} />`])}
    />`}
  `;
}

export default function Mesh() {
  useEffect(() => {
    const look = () => document.hidden || ask();
    look();
    const timer = setInterval(look, EVERY_MS);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, []);
  const found = told.value;
  return html`
    <section id="mesh" class="pane" aria-labelledby="mesh-title">
      <header class="pane-head"><h2 id="mesh-title">Mesh</h2></header>
      ${problem.value && found && html`<${Notice}>What is shown is of before. ${problem.value}<//>`}
      ${problem.value && !found && html`<${Problem} title="The mesh could not be looked at" text=${problem.value} retry=${ask} />`}
      ${!problem.value && !found && html`<${Loading} label="Looking at the mesh" />`}
      ${found && html`<div class="mesh-body" tabindex="0" role="group" aria-label="What runs, and how fast"><${Found} found=${found} /></div>`}
    </section>
  `;
}
