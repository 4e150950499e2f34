/** The room of everything that happens: one timeline, as it comes or out of the log from some moment on. */

import { clockSeconds, moment } from "../format.js";
import { useShortcuts } from "../keys.js";
import { Icon } from "../parts/icons.js";
import { Empty, Loading, Notice } from "../parts/states.js";
import { go, href } from "../router.js";
import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { Filters, Travel } from "./activity/controls.js";
import { Detail } from "./activity/detail.js";
import { countOf, filterOf, matcher, queryOf, subjectsOf } from "./activity/filter.js";
import { Rows } from "./activity/rows.js";
import { sourceOf } from "./activity/source.js";

/** @typedef {import("./activity/timeline.js").Row} Row */
/** @typedef {import("./activity/timeline.js").Timeline} Timeline */

const HOUR_MS = 3_600_000;

/** The clock, and the day where that is another. @param {number} at */
const when = (at) => (Date.now() - at > 12 * HOUR_MS && new Date(at).toDateString() !== new Date().toDateString() ? `${moment(at)} ${clockSeconds(at)}` : clockSeconds(at));

/** @param {number} count */
const words = (count) => count.toLocaleString();

/** @param {{ row: Row, tab: number, open: boolean, onOpen: (row: Row) => void }} props */
const Line = ({ row, tab, open, onOpen }) => html`
  <button type="button" class="event" tabindex=${tab} aria-expanded=${open} data-number=${row.number} onClick=${() => onOpen(row)}>
    <time datetime=${new Date(row.at).toISOString()}>${when(row.at)}</time>
    <span class="type">${row.type}</span>
    <span class="subject">${row.subject}</span>
    <span class="says">${row.text}</span>
  </button>
`;

/** What is shown while nothing moves: a copy, since what it is a copy of goes on. */
function useFrozen() {
  const [frozen, setFrozen] = useState(/** @type {{ timeline: Timeline, count: number, by: string } | null} */ (null));
  return {
    frozen,
    /** @param {Timeline} timeline @param {"pause" | "scroll"} by */
    freeze: (timeline, by) => setFrozen((before) => (before ? { ...before, by: by === "pause" ? by : before.by } : { timeline: timeline.copy(), count: timeline.count, by })),
    thaw: () => setFrozen(null),
  };
}

/** @param {{ query: URLSearchParams }} props */
export default function Activity({ query }) {
  const filter = filterOf(query);
  const start = { at: query.get("at") ?? undefined, since: query.get("since") ?? undefined };
  const isPast = Boolean(start.at || start.since);
  const source = sourceOf(subjectsOf(filter), start);
  const { frozen, freeze, thaw } = useFrozen();
  const [follows, setFollows] = useState(!isPast);
  const [open, setOpen] = useState(/** @type {Row | null} */ (null));
  const [travels, setTravels] = useState(false);
  const [filters, setFilters] = useState(countOf(filter) > 0);
  const came = useRef(/** @type {any} */ (null));
  void source.version.value;
  const busy = source.busy.value;
  const problem = source.problem.value;

  const wanted = useMemo(() => matcher(filter), [JSON.stringify(filter)]);
  const seen = useRef(/** @type {{ source?: any, wanted?: any }} */ ({}));
  if (seen.current.source !== source || seen.current.wanted !== wanted) {
    seen.current = { source, wanted };
    source.timeline.want(wanted);
    frozen?.timeline.want(wanted);
  }
  useEffect(() => {
    thaw();
    setFollows(!isPast);
  }, [source]);

  const isFrozen = frozen !== null && follows === false;
  const timeline = isFrozen ? frozen.timeline : source.timeline;
  const rows = timeline.shown;
  const waiting = isFrozen ? source.timeline.count - frozen.count : 0;
  const paused = isFrozen && frozen.by === "pause";
  const types = [...source.timeline.types.keys()].filter((type) => type && type !== "feed").sort();

  /** @param {Partial<import("./activity/filter.js").Filter> & import("./activity/source.js").Start} change */
  const turn = (change) => go(href("activity", [], { ...queryOf({ ...filter, ...change }), ...start, ...("at" in change || "since" in change ? { at: change.at, since: change.since } : {}) }), { replace: true });
  const toLatest = () => {
    thaw();
    setFollows(true);
    if (source.isBehind) turn({ at: undefined, since: undefined });
  };
  /** @param {boolean} now */
  const follow = (now) => {
    if (now && (source.isBehind || paused)) return;
    if (now) thaw();
    else freeze(source.timeline, "scroll");
    setFollows(now);
  };
  const pause = () => {
    if (paused) return toLatest();
    setFollows(false);
    freeze(source.timeline, "pause");
  };
  const close = () => {
    setOpen(null);
    came.current?.isConnected ? came.current.focus() : document.querySelector(/** @type {any} */ (".event[tabindex='0']"))?.focus();
  };
  /** @param {Row} row */
  const show = (row) => {
    came.current = document.activeElement;
    setOpen(open?.cursor === row.cursor && open.number === row.number ? null : row);
  };

  useShortcuts([
    { keys: "p", group: "Activity", says: "Pause, and go on", run: pause },
    { keys: "l", group: "Activity", says: "Jump to the latest", run: toLatest },
    { keys: "/", group: "Activity", says: "Find a text", run: () => (setFilters(true), setTimeout(() => document.getElementById("feed-text")?.focus())) },
    { keys: "Escape", group: "Activity", says: "Close the event", run: () => open && close() },
    { keys: "↑ ↓ Home End", group: "Activity", says: "Move in the list" },
  ]);

  const narrowed = countOf(filter);
  return html`
    <section id="feed" class="pane feed" aria-labelledby="feed-title" data-open=${open !== null}>
      <header class="pane-head">
        <h2 id="feed-title">Activity</h2>
        <span class="count">${rows.length > 0 && words(rows.length)}</span>
        <span class="push"></span>
        <button type="button" class="text-button" aria-expanded=${filters} onClick=${() => setFilters(!filters)}>Filter${narrowed > 0 ? ` (${narrowed})` : ""}</button>
        <button type="button" class="text-button" aria-expanded=${travels} onClick=${() => setTravels(!travels)}>Time travel</button>
        <button id="feed-pause" class="text-button" type="button" aria-pressed=${paused} onClick=${pause}>${paused ? `Resume${waiting ? ` (${words(waiting)})` : ""}` : "Pause"}</button>
      </header>
      ${filters && html`<${Filters} filter=${filter} types=${types} onFilter=${turn} />`}
      ${travels && html`<${Travel} at=${start.at} onTravel=${(/** @type {any} */ to) => (setTravels(false), turn({ at: undefined, since: undefined, ...to }))} onClose=${() => setTravels(false)} />`}
      ${isPast &&
      html`<p class="past" role="status">
        <span>${start.at ? `From ${new Date(start.at).toLocaleString()} on` : html`What followed <code>${start.since}</code>`}${source.isBehind ? "" : ", up to now"}</span>
        <button type="button" class="text-button" onClick=${() => turn({ at: undefined, since: undefined })}>Back to live</button>
      </p>`}
      ${problem && html`<${Notice} kind="bad">The log could not be read. ${problem} <button type="button" class="text-button" onClick=${() => (source.busy.peek() ? undefined : source.timeline.rows.length ? source.newer() : source.begin())}>Try again</button><//>`}
      <div class="feed-body">
        <div class="feed-main">
          ${rows.length === 0 && busy && html`<${Loading} label="Reading the log" />`}
          ${rows.length === 0 && !busy && !problem && html`<${Nothing} source=${source} timeline=${timeline} narrowed=${narrowed > 0} isPast=${isPast} />`}
          <${Rows}
            rows=${rows}
            label="Events, oldest first"
            follows=${follows}
            onFollow=${follow}
            onStart=${() => !isPast && source.older(timeline)}
            onEnd=${() => source.newer()}
            render=${(/** @type {Row} */ row, /** @type {number} */ tab) => html`<${Line} row=${row} tab=${tab} open=${open?.number === row.number && open.cursor === row.cursor} onOpen=${show} />`}
          />
          ${!follows && (waiting > 0 || source.isBehind || rows.length > 0) &&
          html`<button type="button" class="latest" onClick=${toLatest}><${Icon} name="send" size=${15} /> ${waiting > 0 && !paused ? `${words(waiting)} new · ` : ""}Jump to latest</button>`}
        </div>
        ${open &&
        html`<${Detail}
          row=${open}
          known=${timeline.rows}
          onClose=${close}
          onPick=${setOpen}
          onSubject=${(/** @type {string} */ subject) => (setFilters(true), turn({ subject, type: "" }))}
          onSince=${(/** @type {string} */ since) => turn({ at: undefined, since })}
        />`}
      </div>
    </section>
  `;
}

/** @param {{ source: import("./activity/source.js").Source, timeline: Timeline, narrowed: boolean, isPast: boolean }} props */
function Nothing({ source, timeline, narrowed, isPast }) {
  if (!narrowed && !isPast) return html`<${Empty} title="Nothing yet"><p>What agents and people do shows here as it happens.</p><//>`;
  const more = isPast ? source.isBehind : source.hasOlder;
  return html`
    <${Empty} title="Nothing of that kind">
      <p>${narrowed ? `None of the ${words(timeline.rows.length + source.looked)} events looked at fits the filter.` : "Nothing has happened since then."}</p>
      ${more && html`<button type="button" class="button" onClick=${() => (isPast ? source.newer() : source.older(timeline))}>Look further ${isPast ? "on" : "back"}</button>`}
    <//>
  `;
}
