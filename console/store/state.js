/** How agents and tasks are: what the API told and what events changed since. No page, no network. */

import { short, summary } from "../format.js";
import { progressOf } from "./progress.js";

/**
 * @typedef {object} Agent
 * @property {string} id
 * @property {string} status       `online`, `busy`, `offline`, another word, or empty where it never told
 * @property {boolean} there
 * @property {string} does         what it does now, in one line
 * @property {string} reason       why it is offline, where somebody said so
 * @property {string[]} serves     which questions it takes, such as `agent/scout` or `daena/vp`
 * @property {number} since        milliseconds: when its activity was told
 * @property {number} at           milliseconds: when it was heard of last
 * @property {string | undefined} statusCursor
 * @property {string | undefined} activityCursor
 */

/**
 * @typedef {object} Task
 * @property {string} id
 * @property {string} agent        empty where nobody says who is at it
 * @property {string} title
 * @property {string} status
 * @property {boolean} open        whether it is not finished
 * @property {import("./progress.js").Progress} progress
 * @property {string} reason
 * @property {number} at           milliseconds: its last update
 * @property {number} since        milliseconds: its first update that was seen here; keeps open tasks in their places
 * @property {string | undefined} cursor
 */

const FINISHED = new Set(["completed", "failed", "cancelled"]);

/** @param {unknown} time */
const millis = (time) => Date.parse(String(time ?? "")) || 0;

export class MeshState {
  /** @type {Map<string, Agent>} */
  #agents = new Map();
  /** @type {Map<string, Task>} */
  #tasks = new Map();

  /**
   * @param {(a?: string, b?: string) => number} compare  cursors, as `compareCursors` of the client does
   * @param {{ agents?: number, tasks?: number }} [most]  how many are kept
   */
  constructor(compare, { agents = 1000, tasks = 500 } = {}) {
    this.compare = compare;
    /** @type {Map<string, string>} by agent, the last thing that went wrong with what it worked on */
    this.errors = new Map();
    this.mostAgents = agents;
    this.mostTasks = tasks;
  }

  /** Those that are there first, by name; then as they were heard of. */
  get agents() {
    return [...this.#agents.values()].sort(
      (a, b) => Number(b.there) - Number(a.there) || (a.there ? 0 : b.at - a.at) || (a.id < b.id ? -1 : 1),
    );
  }

  /** Open ones first, newest first, where they stay as they go on; then as they ended. */
  get tasks() {
    return [...this.#tasks.values()].sort(
      (a, b) => Number(b.open) - Number(a.open) || (a.open ? b.since - a.since : b.at - a.at) || (a.id < b.id ? -1 : 1),
    );
  }

  /** @param {string} id */
  task(id) {
    return this.#tasks.get(id);
  }

  /**
   * Take over what the API told.
   *
   * @param {any[]} agents
   * @param {any[]} tasks
   */
  load(agents, tasks) {
    for (const found of agents) {
      const agent = this.#agent(found.agent_id);
      // Its one cursor is that of its newest event: whatever else it told came before that.
      if (!this.#isOld(found.cursor, agent.statusCursor)) {
        this.#status(agent, found, found.cursor ?? agent.statusCursor);
      }
      if (!this.#isOld(found.cursor, agent.activityCursor)) {
        if (found.activity !== null) agent.does = doing(found.activity);
        agent.since = Math.max(agent.since, millis(found.last_seen));
        agent.activityCursor = found.cursor ?? agent.activityCursor;
      }
      agent.at = Math.max(agent.at, millis(found.last_seen));
    }
    for (const found of tasks) this.#update(found.task_id, found.agent_id, found, found.cursor, millis(found.timestamp));
    this.#forget();
  }

  /** The log began anew: nothing that is known can be compared with what comes. */
  clear() {
    this.#agents.clear();
    this.#tasks.clear();
    this.errors.clear();
  }

  /**
   * Take an event of the feed.
   *
   * @param {import("../../sdk/js/mesh.js").MeshEvent} event
   * @returns {boolean} whether something changed
   */
  apply({ event_type: type, subject, payload, cursor, timestamp }) {
    const [, id, , author] = (subject ?? "").split(".");
    if (!id || !cursor || typeof payload !== "object" || payload === null) return false;
    if (type === "task.update") {
      this.#update(id, author ?? payload.agent_id, payload, cursor, millis(timestamp));
      this.#forget();
      return true;
    }
    if (type !== "agent.status" && type !== "agent.activity") return false;
    const agent = this.#agent(id);
    if (type === "agent.status") {
      if (this.#isOld(cursor, agent.statusCursor)) return false;
      this.#status(agent, payload, cursor);
    } else {
      if (this.#isOld(cursor, agent.activityCursor)) return false;
      agent.does = doing(payload.activity);
      agent.since = millis(timestamp);
      agent.activityCursor = cursor;
    }
    // That it fell silent others have told.
    if (payload.reason !== "silent") agent.at = Math.max(agent.at, millis(timestamp));
    this.#forget();
    return true;
  }

  /** Whether what stands at `cursor` is no newer than what is known. @param {string | undefined} cursor @param {string | undefined} known */
  #isOld(cursor, known) {
    return this.compare(cursor, known) <= 0;
  }

  /** @param {string} id */
  #agent(id) {
    let agent = this.#agents.get(id);
    if (!agent) {
      agent = { id, status: "", there: false, does: "", reason: "", serves: [], since: 0, at: 0, statusCursor: undefined, activityCursor: undefined };
      this.#agents.set(id, agent);
    }
    return agent;
  }

  /** @param {Agent} agent @param {any} told @param {string | undefined} cursor */
  #status(agent, { status, reason, serves }, cursor) {
    agent.status = short(status, 24);
    agent.reason = short(reason, 80);
    if (Array.isArray(serves)) agent.serves = serves.slice(0, 20).map((each) => short(each, 80));
    agent.there = agent.status !== "" && agent.status !== "offline";
    agent.statusCursor = cursor;
  }

  /** @param {string} id @param {unknown} agent @param {any} told @param {string | undefined} cursor @param {number} at */
  #update(id, agent, told, cursor, at) {
    const known = this.#tasks.get(id);
    if (known && this.#isOld(cursor, known.cursor)) return;
    const status = short(told.status, 24);
    const open = !FINISHED.has(status);
    if (status === "failed" && agent) this.errors.set(short(agent, 64), short(told.reason, 200) || `“${short(told.title, 80) || id}” failed.`);
    this.#tasks.set(id, {
      id,
      agent: short(agent, 64),
      title: short(told.title, 120) || known?.title || id,
      status,
      open,
      progress: progressOf(told.progress, open),
      reason: short(told.reason, 200),
      at,
      since: known?.open ? known.since : at,
      cursor,
    });
  }

  #forget() {
    for (const [known, most, listed] of /** @type {const} */ ([
      [this.#agents, this.mostAgents, () => this.agents],
      [this.#tasks, this.mostTasks, () => this.tasks],
    ])) {
      // In strides, as sorting takes its time.
      if (known === this.#agents) for (const id of this.errors.keys()) if (this.errors.size > most) this.errors.delete(id);
      if (known.size > most * 1.25) for (const { id } of listed().slice(most)) known.delete(id);
    }
  }
}

/** @param {unknown} activity */
const doing = (activity) => summary({ event_type: "agent.activity", payload: { activity } });
