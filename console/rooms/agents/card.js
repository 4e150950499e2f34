/** One agent as a card: how it is, what it does, how busy it is, and what went wrong last. */

import { hue } from "../../format.js";
import { Spark } from "../../parts/spark.js";
import { Badge, Bar, Time } from "../../parts/small.js";
import { href } from "../../router.js";
import { STEPS, STEP_MS } from "../../store/rates.js";
import { html } from "../../vendor/preact.js";

const MOST_TASKS = 1;

/** @param {number[]} counts */
export function perMinute(counts) {
  const sum = counts.reduce((total, count) => total + count, 0);
  return Math.round((sum * 60_000) / (STEPS * STEP_MS));
}

/**
 * @typedef {object} CardProps
 * @property {import("../../store/state.js").Agent} agent
 * @property {import("../../store/state.js").Task[]} tasks  those it works on
 * @property {number} count
 * @property {number[]} counts  events, over the last minute
 * @property {string} error
 * @property {boolean} isChosen
 */

/** @param {CardProps} props */
export function Card({ agent, tasks, count, counts, error, isChosen }) {
  const rate = perMinute(counts);
  return html`
    <li class=${`card${agent.there ? "" : " away"}${isChosen ? " chosen" : ""}`}>
      <div class="state-line">
        <span class="avatar" style=${{ "--hue": hue(agent.id) }} aria-hidden="true">${[...agent.id][0]?.toUpperCase()}</span>
        <a class="name card-name" href=${href("agents", [agent.id])} aria-current=${isChosen ? "true" : undefined} title=${agent.id}>${agent.id}</a>
        <${Badge} status=${agent.status} />
      </div>
      <p class="does" title=${agent.does}>${agent.does || "\u00a0"}</p>
      <div class="card-tasks">
        ${error && tasks.length === 0 && html`<p class="card-error" title=${error}>${error}</p>`}
        ${tasks.slice(0, MOST_TASKS).map(
          ({ id, title, progress }) => html`<div key=${id} class="card-task"><span class="task-name">${title}</span><${Bar} share=${progress.share} label=${`Progress of ${title}`} /><span class="task-words">${progress.words || "\u00a0"}</span></div>`,
        )}
      </div>
      ${error && tasks.length > 0 && html`<p class="card-error" title=${error}>${error}</p>`}
      <div class="state-line small card-foot">
        ${agent.there && html`<span class="rate">${rate}/min</span>`}
        <span class="more">${agent.there ? count > 0 && `${count} task${count === 1 ? "" : "s"}` : agent.at > 0 && html`seen <${Time} at=${agent.at} />${agent.reason && ` · ${agent.reason}`}`}</span>
        <span class="spacer"></span>
        <${Spark} values=${counts.slice(0, -1)} label=${`${rate} events in the last minute`} />
      </div>
    </li>
  `;
}
