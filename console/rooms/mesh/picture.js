/** Who is connected to whom: APIs and agents at the left, the servers of NATS in the middle, edges at the right. */

import { figure } from "../../parts/chart.js";
import { html } from "../../vendor/preact.js";

const MOST = 6;

/**
 * @typedef {object} Box
 * @property {string} name
 * @property {string} says
 * @property {boolean} [bad]
 */

/** The first few, and how many more there are. @param {Box[]} boxes @param {string} noun */
const some = (boxes, noun) => (boxes.length > MOST ? [...boxes.slice(0, MOST - 1), { name: `+${boxes.length - MOST + 1}`, says: `more ${noun}` }] : boxes);

/** Where the middle of a box lies, in hundredths of the height. @param {number} index @param {number} count */
const middle = (index, count) => ((index + 0.5) / count) * 100;

/** @param {{ title: string, boxes: Box[], kind: string, none: string }} props */
const Column = ({ title, boxes, kind, none }) => html`
  <div class="column" data-kind=${kind}>
    <h3>${title}</h3>
    <ul>
      ${boxes.length === 0 && html`<li><div class="box none">${none}</div></li>`}
      ${boxes.map(({ name, says, bad }) => html`<li key=${name}><div class="box" data-bad=${bad ? "true" : undefined}><b title=${name}>${name}</b><span>${says}</span></div></li>`)}
    </ul>
  </div>
`;

/** @param {{ left: number, right: number, rate: number | null }} props  how many boxes there are at either side */
function Lines({ left, right, rate }) {
  const width = 1 + Math.min(3, Math.log10(1 + (rate ?? 0)));
  const pairs = Array.from({ length: left }, (_, from) => Array.from({ length: right }, (__, to) => [middle(from, left), middle(to, right)])).flat();
  return html`
    <svg class="lines" viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true" data-moves=${rate ? "true" : undefined}>
      ${pairs.map(([from, to]) => html`<path key=${`${from} ${to}`} d=${`M0 ${from}C50 ${from} 50 ${to} 100 ${to}`} stroke-width=${width} vector-effect="non-scaling-stroke" />`)}
    </svg>
  `;
}

/** @param {{ told: any, agents: number }} props  what `GET /api/v1/mesh` answered, and how many agents there are */
export function Picture({ told, agents }) {
  const stored = told.streams.reduce((/** @type {number} */ all, /** @type {any} */ { name, stored_per_s }) => all + (["RECORDS", "SIGNALS"].includes(name) ? stored_per_s ?? 0 : 0), 0);
  const delivered = told.edges.reduce((/** @type {number} */ all, /** @type {any} */ { deliveries_per_s }) => all + (deliveries_per_s ?? 0), 0);
  const left = some(
    [
      { name: "agents", says: `${agents} there` },
      ...told.apis.map((/** @type {any} */ api) => ({ name: `API ${api.instance.slice(0, 4)}`, says: `${figure(api.requests_per_s)} requests/s` })),
      ...told.brains.map((/** @type {any} */ brain) => ({ name: brain.brain_id, says: brain.state ?? "brain", bad: brain.state === "offline" })),
    ],
    "processes",
  );
  const nodes = some(
    told.nodes.map((/** @type {any} */ node) => ({ name: node.name.length > 20 ? `${node.name.slice(0, 10)}…` : node.name || "nats", says: node.current ? `leads ${node.leads.length}` : node.offline ? "gone" : "behind", bad: !node.current })),
    "servers",
  );
  const edges = some(
    told.edges.map((/** @type {any} */ edge) => ({ name: edge.edge_id, says: `${edge.sockets.toLocaleString()} socket${edge.sockets === 1 ? "" : "s"}` })),
    "edges",
  );
  return html`
    <div class="picture" role="group" aria-label="Who is connected to whom">
      <${Column} title="Write" kind="left" boxes=${left} none="nobody" />
      <${Lines} left=${left.length || 1} right=${nodes.length || 1} rate=${stored} />
      <${Column} title=${told.cluster ? `NATS · ${told.cluster}` : "NATS"} kind="nodes" boxes=${nodes} none="not seen" />
      <${Lines} left=${nodes.length || 1} right=${edges.length || 1} rate=${delivered} />
      <${Column} title="Edges" kind="edges" boxes=${edges} none="none answers" />
    </div>
  `;
}
