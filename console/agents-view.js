/** The agents on the page: how they are, and what they do now. */

import { arrange, byId, h, inFrame, setText } from "./dom.js";
import { clock, moment } from "./format.js";

const MOST_SHOWN = 300;

export class AgentsView {
  #list = byId("agent-list");
  #note = byId("agents-note");
  #count = byId("agent-count");
  /** @type {Map<string, any>} by agent, its row's elements */
  #rows = new Map();

  /** @param {import("./state.js").MeshState} state */
  constructor(state) {
    this.state = state;
    this.changed = inFrame(() => this.#render());
  }

  #render() {
    const { agents, tasks } = this.state;
    const there = agents.filter((agent) => agent.there).length;
    setText(this.#count, there ? String(there) : "");
    /** @type {Map<string, number>} */
    const atWork = new Map();
    for (const { agent, open } of tasks) if (open && agent) atWork.set(agent, (atWork.get(agent) ?? 0) + 1);
    const shown = agents.slice(0, MOST_SHOWN);
    const kept = new Set(shown.map(({ id }) => id));
    for (const id of this.#rows.keys()) if (!kept.has(id)) this.#rows.delete(id);
    arrange(this.#list, shown.map((agent) => this.#row(agent, atWork.get(agent.id) ?? 0)));
    this.#note.hidden = shown.length > 0;
    setText(this.#note, "Agents show here once they say something.");
  }

  /** @param {import("./state.js").Agent} agent @param {number} tasks */
  #row(agent, tasks) {
    let row = this.#rows.get(agent.id);
    if (!row) {
      const parts = {
        status: h("span", { class: "badge" }),
        does: h("p", { class: "does" }),
        more: h("span", { class: "more" }),
      };
      const item = h(
        "li",
        {},
        h("div", { class: "state-line" }, h("span", { class: "name", title: agent.id }, agent.id), parts.more, parts.status),
        parts.does,
      );
      row = { ...parts, item };
      this.#rows.set(agent.id, row);
    }
    setText(row.status, agent.status);
    row.status.dataset.status = agent.status;
    row.status.hidden = !agent.status;
    setText(row.does, agent.does);
    row.does.title = agent.does;
    row.does.hidden = !agent.does;
    row.item.classList.toggle("away", !agent.there);
    const seen = agent.at && !agent.there ? `seen ${moment(agent.at)}` : "";
    setText(row.more, agent.there && tasks ? `${tasks} task${tasks === 1 ? "" : "s"}` : seen);
    row.more.title = seen ? `${new Date(agent.at).toLocaleDateString()} ${clock(agent.at)}` : "";
    return row.item;
  }
}
