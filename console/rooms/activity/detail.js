/** One event, whole: its JSON, those of the same trace, and the command that shows the like in a terminal. */

import * as api from "../../api.js";
import { clockSeconds } from "../../format.js";
import { Icon } from "../../parts/icons.js";
import { toast } from "../../toasts.js";
import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { natsSub } from "./filter.js";
import { rowOf } from "./timeline.js";

/** @typedef {import("./timeline.js").Row} Row */

const MOST_JSON = 100_000;
const AROUND_MS = 60_000;
const MOST_TRACE = 200;

/** @param {string} text @param {string} what */
async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied`);
  } catch {
    toast("The browser does not let the page copy.");
  }
}

/** @param {string} json */
function pretty(json) {
  try {
    const text = JSON.stringify(JSON.parse(json), null, 2);
    return text.length > MOST_JSON ? `${text.slice(0, MOST_JSON)}\n… ${text.length} characters in all` : text;
  } catch {
    return json;
  }
}

/**
 * The events of the log around one that belong to its trace; the log tells the traces, the feed does not.
 *
 * @param {Row} row
 * @returns {Promise<{ trace: string, rows: Row[] }>}
 */
async function traced(row) {
  if (!row.cursor) return { trace: "", rows: [] };
  const answers = await api.listEvents({ at: new Date(row.at - AROUND_MS).toISOString(), limit: 500 });
  /** @type {Row[]} */
  const around = answers.events.map(rowOf);
  const trace = around.find(({ cursor }) => cursor === row.cursor)?.trace || row.trace;
  return { trace, rows: trace ? around.filter((each) => each.trace === trace).slice(0, MOST_TRACE) : [] };
}

/**
 * @param {object} props
 * @param {Row} props.row
 * @param {Row[]} props.known      of which some may belong to the same trace
 * @param {() => void} props.onClose
 * @param {(row: Row) => void} props.onPick
 * @param {(subject: string) => void} props.onSubject
 * @param {(cursor: string) => void} props.onSince
 */
export function Detail({ row, known, onClose, onPick, onSubject, onSince }) {
  const [trace, setTrace] = useState(/** @type {{ of: string, trace: string, rows: Row[], problem: string }} */ ({ of: "", trace: "", rows: [], problem: "" }));
  const head = useRef(/** @type {any} */ (null));
  useEffect(() => {
    let left = false;
    traced(row).then(
      (found) => left || setTrace({ of: row.cursor, problem: "", ...found }),
      (error) => left || setTrace({ of: row.cursor, trace: row.trace, rows: [], problem: error instanceof Error ? error.message : String(error) }),
    );
    return () => {
      left = true;
    };
  }, [row.cursor]);
  useEffect(() => head.current?.focus(), [row.number]);
  const id = trace.trace || row.trace;
  const others = trace.rows.length ? trace.rows : id ? known.filter((each) => each.trace === id) : [];
  const json = pretty(row.json);
  return html`
    <aside class="event-detail" aria-labelledby="detail-title" data-domain=${row.domain}>
      <header class="pane-head">
        <h2 id="detail-title" class="type" ref=${head} tabindex="-1">${row.type}</h2>
        <button type="button" class="icon-button close" aria-label="Close" title="Close (Escape)" onClick=${onClose}><${Icon} name="close" /></button>
      </header>
      <div class="event-body">
        <dl class="event-facts">
          <div><dt>Subject</dt><dd><code>${row.subject || "none"}</code></dd></div>
          <div><dt>Time</dt><dd><time datetime=${new Date(row.at).toISOString()}>${new Date(row.at).toLocaleDateString()} ${clockSeconds(row.at)}</time></dd></div>
          <div><dt>Cursor</dt><dd><code>${row.cursor || "none"}</code></dd></div>
          <div><dt>Size</dt><dd>${row.json.length.toLocaleString()} characters</dd></div>
        </dl>
        ${row.subject &&
        html`
          <div class="event-actions">
            <button type="button" class="button small" onClick=${() => copy(natsSub(row.subject), "Command")} title=${natsSub(row.subject)}><${Icon} name="copy" size=${15} /> Copy as nats sub</button>
            <button type="button" class="button small" onClick=${() => copy(json, "JSON")}><${Icon} name="copy" size=${15} /> Copy JSON</button>
            <button type="button" class="button small" onClick=${() => onSubject(row.subject)}>Only this subject</button>
            ${row.cursor && html`<button type="button" class="button small" onClick=${() => onSince(row.cursor)}>What followed</button>`}
          </div>
        `}
        <h3>JSON</h3>
        <pre class="json" tabindex="0" aria-label="The event as JSON">${json}</pre>
        <h3>Trace</h3>
        ${trace.problem && html`<p class="problem">The log could not be read. ${trace.problem}</p>`}
        ${!id && html`<p class="quiet">${trace.of === row.cursor ? "It belongs to no trace: whoever published it sent no traceparent." : "Looking in the log…"}</p>`}
        ${id && html`<p class="quiet"><code>${id}</code></p>`}
        ${others.length > 0 &&
        html`
          <ol class="trace" aria-label="Events of the same trace">
            ${others.map(
              (each) => html`
                <li key=${each.cursor} data-domain=${each.domain}>
                  <button type="button" aria-current=${each.cursor === row.cursor ? "true" : undefined} onClick=${() => onPick(each)}>
                    <time>${clockSeconds(each.at)}</time><span class="type">${each.type}</span><span class="says">${each.text}</span>
                  </button>
                </li>
              `,
            )}
          </ol>
        `}
      </div>
    </aside>
  `;
}
