/** The room of tasks: what is being worked on, how far it has come, and what came of the others. */

import * as api from "../api.js";
import { Empty, Loading, Problem } from "../parts/states.js";
import { session } from "../store/kept.js";
import { loadState, state, stateAsked, stateVersion, tasks } from "../store/world.js";
import { toast } from "../toasts.js";
import { html, useState } from "../vendor/preact.js";
import { Row } from "./tasks/row.js";

const MOST_SHOWN = 200;
const FILTERS = /** @type {const} */ ([
  ["", "All"],
  ["completed", "Completed"],
  ["failed", "Failed"],
  ["cancelled", "Cancelled"],
]);

/** @typedef {import("../store/state.js").Task} Task */

/** @param {Task} task @param {string} words */
const fits = ({ id, title, agent, reason, progress }, words) =>
  `${id} ${title} ${agent} ${reason} ${progress.note}`.toLowerCase().includes(words.toLowerCase());

/** @param {{ path: string[], query: URLSearchParams }} props */
export default function Tasks({ query }) {
  const [sought, setSought] = useState(session.read("tasks-sought", { filter: "", words: "" }));
  const [most, setMost] = useState(MOST_SHOWN);
  const [busy, setBusy] = useState(false);
  const seek = (/** @type {Partial<typeof sought>} */ changes) => {
    setSought({ ...sought, ...changes });
    session.write("tasks-sought", { ...sought, ...changes });
  };
  const older = async () => {
    setBusy(true);
    try {
      const { tasks: found = [] } = await api.listTasks({ limit: 1000 });
      state.load([], found);
      stateVersion.value += 1;
      setMost(1_000);
    } catch (error) {
      toast(`The history could not be read. ${error instanceof Error ? error.message : error}`);
    }
    setBusy(false);
  };
  const { loaded, problem } = stateAsked.value;
  // Before it is known how things are there is no telling what is above what.
  const all = loaded || problem ? tasks.value : [];
  const open = all.filter((task) => task.open && fits(task, sought.words));
  const ended = all.filter((task) => !task.open && (!sought.filter || task.status === sought.filter) && fits(task, sought.words));
  const marked = query.get("task");
  return html`
    <section id="tasks" class="pane" aria-labelledby="tasks-title">
      <header class="pane-head">
        <h2 id="tasks-title">Tasks</h2>
        <span class="count">${open.length > 0 && `${open.length} running`}</span>
        <span class="pane-tools">
          <span class="chips" role="group" aria-label="Which of the history">
            ${FILTERS.map(([name, title]) => html`<button key=${name} type="button" class="chip" aria-pressed=${sought.filter === name} onClick=${() => seek({ filter: name })}>${title}</button>`)}
          </span>
          <label class="visually-hidden" for="task-search">Search tasks</label>
          <input id="task-search" type="search" placeholder="Search" value=${sought.words} onInput=${(/** @type {any} */ { target }) => seek({ words: target.value })} />
        </span>
      </header>
      <div class="tasks-body" tabindex="-1">
        ${all.length === 0 && problem && html`<${Problem} title="The tasks could not be read" text=${problem} retry=${loadState} />`}
        ${all.length === 0 && !problem && !loaded && html`<${Loading} label="Loading tasks" />`}
        ${all.length === 0 && loaded && html`<${Empty} title="No tasks yet"><p>What agents work on shows here while they do it: <code>async with agent.task("index", total=10)</code>.</p><//>`}
        ${all.length > 0 && html`<h3 id="open-title">Running</h3>`}
        ${all.length > 0 && open.length === 0 && html`<p class="note">Nobody works on anything right now.</p>`}
        <ul id="task-list" class="state-list task-list" aria-labelledby=${all.length > 0 ? "open-title" : undefined} aria-label=${all.length > 0 ? undefined : "Running"}>
          ${open.slice(0, MOST_SHOWN).map((task) => html`<${Row} key=${task.id} task=${task} isMarked=${task.id === marked} />`)}
        </ul>
        ${all.length > 0 && html`<h3 id="ended-title">History</h3>`}
        ${all.length > 0 && ended.length === 0 && html`<p class="note">${sought.filter || sought.words ? "Nothing fits." : "None has ended yet."}</p>`}
        <ul class="state-list task-list" aria-label="History">
          ${ended.slice(0, most).map((task) => html`<${Row} key=${task.id} task=${task} isMarked=${task.id === marked} />`)}
        </ul>
        ${most === MOST_SHOWN && ended.length >= 50 && html`<button type="button" class="text-button older" disabled=${busy} onClick=${older}>Show older ones</button>`}
      </div>
    </section>
  `;
}
