/** One task in a list. */

import * as api from "../../api.js";
import { moment } from "../../format.js";
import { Badge, Bar } from "../../parts/small.js";
import { href } from "../../router.js";
import { html, useLayoutEffect, useRef, useState } from "../../vendor/preact.js";

/** @param {{ task: import("../../store/state.js").Task, isMarked: boolean }} props */
export function Row({ task, isMarked }) {
  const [asked, setAsked] = useState({ busy: false, problem: "" });
  const row = useRef(/** @type {any} */ (null));
  useLayoutEffect(() => {
    if (isMarked) row.current.scrollIntoView({ block: "nearest" });
  }, [isMarked]);
  const { progress, open, status, reason, title, agent } = task;
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
    <li ref=${row} data-task=${task.id} class=${isMarked ? "marked" : undefined}>
      <div class="task-what">
        <span class="name" title=${title === task.id ? title : `${title} (${task.id})`}>${title}</span>
        ${!(open && status === "running") && html`<${Badge} status=${status || "unknown"} />`}
        <p class=${reason && status === "failed" ? "does bad" : "does"} title=${says}>${says || "\u00a0"}</p>
      </div>
      ${agent ? html`<a class="who" href=${href("agents", [agent])}>${agent}</a>` : html`<span class="who"></span>`}
      <div class="task-how">
        ${open && html`<${Bar} share=${progress.share} label=${`Progress of ${title}`} />`}
        <span class="words">${open ? progress.words : [progress.words, moment(task.at)].filter(Boolean).join(" · ")}</span>
      </div>
      <div class="task-do">
        ${open && agent && html`<button type="button" class="text-button" aria-label=${`Cancel ${title}`} disabled=${asked.busy} onClick=${cancel}>${asked.busy ? "Cancelling…" : "Cancel"}</button>`}
      </div>
      ${open && asked.problem && html`<p class="problem" role="status">${asked.problem}</p>`}
    </li>
  `;
}
