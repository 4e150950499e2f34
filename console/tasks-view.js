/** The tasks on the page: how far they have come, and a button that cancels them. */

import { arrange, byId, h, inFrame, setText } from "./dom.js";
import { moment } from "./format.js";

const MOST_SHOWN = 200;

/** @typedef {import("./state.js").Task} Task */

export class TasksView {
  #list = byId("task-list");
  #note = byId("tasks-note");
  #count = byId("task-count");
  /** @type {Map<string, any>} by task, its row's elements */
  #rows = new Map();

  /**
   * @param {import("./state.js").MeshState} state
   * @param {(task: Task) => Promise<unknown>} cancel  rejects with what went wrong
   */
  constructor(state, cancel) {
    this.state = state;
    this.cancel = cancel;
    this.changed = inFrame(() => this.#render());
  }

  #render() {
    const { tasks } = this.state;
    const open = tasks.filter((task) => task.open).length;
    setText(this.#count, open ? String(open) : "");
    const shown = tasks.slice(0, MOST_SHOWN);
    const kept = new Set(shown.map(({ id }) => id));
    for (const id of this.#rows.keys()) if (!kept.has(id)) this.#rows.delete(id);
    arrange(this.#list, shown.map((task) => this.#row(task)));
    this.#note.hidden = shown.length > 0;
    setText(this.#note, "What agents work on shows here.");
  }

  /** @param {Task} task */
  #row(task) {
    const row = this.#rows.get(task.id) ?? this.#newRow(task.id);
    const { progress } = task;
    setText(row.title, task.title);
    row.title.title = task.title === task.id ? task.id : `${task.title} (${task.id})`;
    setText(row.agent, task.agent);
    setText(row.status, task.open && task.status === "running" ? "" : task.status || "unknown");
    row.status.dataset.status = task.status;
    row.status.hidden = !row.status.textContent;
    row.bar.hidden = !task.open;
    if (progress.share === undefined) row.bar.removeAttribute("value");
    else row.bar.value = progress.share;
    setText(row.words, task.open ? progress.words : [progress.words, moment(task.at)].filter(Boolean).join(" · "));
    setText(row.says, task.reason || progress.note);
    row.says.title = row.says.textContent;
    row.says.hidden = !row.says.textContent;
    row.says.classList.toggle("bad", Boolean(task.reason) && task.status === "failed");
    row.bar.setAttribute("aria-label", `Progress of ${task.title}`);
    row.button.setAttribute("aria-label", `Cancel ${task.title}`);
    row.button.hidden = !task.open || !task.agent;
    if (!task.open) this.#settle(row, "");
    return row.item;
  }

  /** @param {string} id */
  #newRow(id) {
    const row = {
      title: h("span", { class: "name" }),
      status: h("span", { class: "badge" }),
      button: /** @type {any} */ (h("button", { type: "button", class: "text-button", onclick: () => this.#cancel(id) }, "Cancel")),
      bar: /** @type {any} */ (h("progress", { max: 1 })),
      agent: h("span", { class: "who" }),
      words: h("span", { class: "words" }),
      says: h("p", { class: "does" }),
      problem: h("p", { class: "problem", role: "status" }),
      item: /** @type {any} */ (null),
    };
    row.item = h(
      "li",
      { "data-task": id },
      h("div", { class: "state-line" }, row.title, row.status, row.button),
      row.bar,
      h("div", { class: "state-line small" }, row.agent, row.words),
      row.says,
      row.problem,
    );
    this.#settle(row, "");
    this.#rows.set(id, row);
    return row;
  }

  /** @param {string} id */
  async #cancel(id) {
    const row = this.#rows.get(id);
    const task = this.state.task(id);
    if (!row || !task?.open) return;
    row.button.disabled = true;
    setText(row.button, "Cancelling…");
    row.problem.hidden = true;
    try {
      await this.cancel(task); // its next event says that it is cancelled
    } catch (error) {
      this.#settle(row, `Not cancelled. ${error instanceof Error ? error.message : error}`);
    }
  }

  /** @param {any} row @param {string} problem */
  #settle(row, problem) {
    row.button.disabled = false;
    setText(row.button, "Cancel");
    setText(row.problem, problem);
    row.problem.hidden = !problem;
  }
}
