/** The room of everything that happens: one line for each event, newest first. */

import { clockSeconds } from "../format.js";
import { useRoving } from "../parts/roving.js";
import { Empty } from "../parts/states.js";
import { feed, feedVersion } from "../store/events.js";
import { html, useRef, useState } from "../vendor/preact.js";

/** @param {string} type */
const domainOf = (type) => type.split(".", 1)[0];

/** @param {{ row: import("../store/feed.js").Row }} props */
function Row({ row }) {
  const [open, setOpen] = useState(false);
  return html`
    <li data-domain=${domainOf(row.type)}>
      <button type="button" class="event" aria-expanded=${open} data-number=${row.number} onClick=${() => setOpen(!open)}>
        <time datetime=${new Date(row.at).toISOString()}>${clockSeconds(row.at)}</time>
        <span class="type">${row.type}</span>
        <span class="subject">${row.subject}</span>
        <span class="says">${row.text}</span>
      </button>
      ${open && html`<pre tabindex="0">${row.detail || row.text}</pre>`}
    </li>
  `;
}

export default function Activity() {
  const [filter, setFilter] = useState("");
  const [paused, setPaused] = useState(false);
  const until = useRef(0);
  const list = useRoving("button.event");
  void feedVersion.value;
  if (!paused) until.current = feed.count;
  const waiting = feed.count - until.current;
  const { rows, most } = feed;
  const domains = [...new Set(rows.map(({ type }) => domainOf(type)))].sort();
  const shown = rows
    .slice(-most)
    .filter(({ number, type }) => number <= until.current && (!filter || domainOf(type) === filter))
    .reverse();
  return html`
    <section id="feed" class="pane feed" aria-labelledby="feed-title">
      <header class="pane-head">
        <h2 id="feed-title">Activity</h2>
        <label class="visually-hidden" for="feed-filter">Show</label>
        <select id="feed-filter" value=${filter} onChange=${(/** @type {any} */ { target }) => setFilter(target.value)}>
          <option value="">All events</option>
          ${domains.map((domain) => html`<option value=${domain}>${domain}</option>`)}
        </select>
        <button id="feed-pause" class="text-button" type="button" aria-pressed=${paused} onClick=${() => setPaused(!paused)}>
          ${paused ? `Resume${waiting ? ` (${Math.min(waiting, most)}${waiting > most ? "+" : ""})` : ""}` : "Pause"}
        </button>
      </header>
      ${shown.length === 0 &&
      html`<${Empty} title="Nothing yet"><p>${filter ? `No ${filter} events yet.` : "What agents and people do shows here as it happens."}</p><//>`}
      <ol id="feed-list" ref=${list} class="feed-list" aria-label="Events, newest first">${shown.map((row) => html`<${Row} key=${row.number} row=${row} />`)}</ol>
    </section>
  `;
}
