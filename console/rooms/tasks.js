/** The room of tasks: how far they have come, and a button that cancels them. */

import * as api from "../api.js";
import { moment } from "../format.js";
import { Badge, Bar } from "../parts/small.js";
import { Empty, Loading, Problem } from "../parts/states.js";
import { loadState, stateAsked, tasks } from "../store/world.js";
import { html, useState } from "../vendor/preact.js";

const MOST_SHOWN = 200;

/** @param {{ task: import("../store/state.js").Task }} props */
function Row({ task }) {
  const [asked, setAsked] = useState({ busy: false, problem: "" });
  const { progress, open, status, reason, title } = task;
  const cancel = async () => {
    setAsked({ busy: true, problem: "" });
    try {
      await api.cancelTask(task.id, crypto.randomUUID()); // its next event says that it is cancelled
    } catch (error) {
      setAsked({ busy: false, problem: `Not cancelled. ${error instanceof Error ? error.message : error}` });
    }
  };
  const says = reason || progress.note;
  return html`
    <li data-task=${task.id}>
      <div class="state-line">
        <span class="name" title=${title === task.id ? title : `${title} (${task.id})`}>${title}</span>
        ${!(open && status === "running") && html`<${Badge} status=${status || "unknown"} />`}
        ${open && task.agent && html`<button type="button" class="text-button" aria-label=${`Cancel ${title}`} disabled=${asked.busy} onClick=${cancel}>${asked.busy ? "Cancelling…" : "Cancel"}</button>`}
      </div>
      ${open && html`<${Bar} share=${progress.share} label=${`Progress of ${title}`} />`}
      <div class="state-line small">
        <span class="who">${task.agent}</span>
        <span class="words">${open ? progress.words : [progress.words, moment(task.at)].filter(Boolean).join(" · ")}</span>
      </div>
      ${says && html`<p class=${reason && status === "failed" ? "does bad" : "does"} title=${says}>${says}</p>`}
      ${open && asked.problem && html`<p class="problem" role="status">${asked.problem}</p>`}
    </li>
  `;
}

export default function Tasks() {
  const { loaded, problem } = stateAsked.value;
  const shown = tasks.value.slice(0, MOST_SHOWN);
  return html`
    <section id="tasks" class="pane" aria-labelledby="tasks-title">
      <header class="pane-head"><h2 id="tasks-title">Tasks</h2><span class="count">${tasks.value.filter(({ open }) => open).length || ""}</span></header>
      ${shown.length === 0 && problem && html`<${Problem} title="The tasks could not be read" text=${problem} retry=${loadState} />`}
      ${shown.length === 0 && !problem && !loaded && html`<${Loading} label="Loading tasks" />`}
      ${shown.length === 0 && loaded && html`<${Empty} title="No tasks yet"><p>What agents work on shows here.</p><//>`}
      <ul id="task-list" class="state-list">${shown.map((task) => html`<${Row} key=${task.id} task=${task} />`)}</ul>
    </section>
  `;
}
