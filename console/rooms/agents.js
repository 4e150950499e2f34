/** The room of agents: a card each, and one of them in full. */

import { useRoving } from "../parts/roving.js";
import { useNow } from "../parts/clock.js";
import { Empty, Loading, Problem } from "../parts/states.js";
import { session } from "../store/kept.js";
import { told } from "../store/me.js";
import { agents, atWork, loadState, rates, state, stateAsked, tasks } from "../store/world.js";
import { html, useEffect, useState } from "../vendor/preact.js";
import { Card } from "./agents/card.js";
import { Detail } from "./agents/detail.js";

const MOST_SHOWN = 300;
const TICK_MS = 2_000;
const FILTERS = /** @type {const} */ ([
  ["", "All"],
  ["there", "Here"],
  ["busy", "Busy"],
  ["away", "Away"],
]);

/** @param {import("../store/state.js").Agent} agent @param {string} filter @param {string} words */
function fits({ id, there, status, does, serves }, filter, words) {
  if (filter === "there" && !there) return false;
  if (filter === "away" && there) return false;
  if (filter === "busy" && status !== "busy") return false;
  return `${id} ${does} ${serves.join(" ")}`.toLowerCase().includes(words.toLowerCase());
}

/** @param {{ path: string[] }} props */
export default function Agents({ path }) {
  const chosen = path[0] ?? "";
  const [sought, setSought] = useState(session.read("agents-sought", { filter: "", words: "" }));
  const now = useNow(TICK_MS);
  const list = useRoving("a.card-name");
  useEffect(() => {
    void loadState(); // heartbeats are no events
  }, []);
  const seek = (/** @type {Partial<typeof sought>} */ changes) => {
    setSought({ ...sought, ...changes });
    session.write("agents-sought", { ...sought, ...changes });
  };
  const { loaded, problem } = stateAsked.value;
  const all = agents.value;
  const shown = all.filter((agent) => fits(agent, sought.filter, sought.words)).slice(0, MOST_SHOWN);
  const open = tasks.value.filter((task) => task.open);
  const found = all.find(({ id }) => id === chosen);
  return html`
    <div class=${chosen ? "agents-room with-detail" : "agents-room"}>
      <section id="agents" class="pane" aria-labelledby="agents-title">
        <header class="pane-head">
          <h2 id="agents-title">Agents</h2>
          <span class="count">${all.length > 0 && `${all.filter(({ there }) => there).length} of ${all.length} here`}</span>
          <span class="pane-tools">
            <span class="chips" role="group" aria-label="Which agents">
              ${FILTERS.map(([name, title]) => html`<button key=${name} type="button" class="chip" aria-pressed=${sought.filter === name} onClick=${() => seek({ filter: name })}>${title}</button>`)}
            </span>
            <label class="visually-hidden" for="agent-search">Search agents</label>
            <input id="agent-search" type="search" placeholder="Search" value=${sought.words} onInput=${(/** @type {any} */ { target }) => seek({ words: target.value })} />
          </span>
        </header>
        ${all.length === 0 && problem && html`<${Problem} title="The agents could not be read" text=${problem} retry=${loadState} />`}
        ${!problem && !loaded && html`<${Loading} label="Loading agents" />`}
        ${all.length === 0 && loaded && html`<${Empty} title="No agents yet"><p>An agent shows here from its first heartbeat on. ${told.value.open ? html`<code>mesh demo</code> brings two, and <code>docs/agents.md</code> says how to write one.` : "There is none that your token shows."}</p><//>`}
        ${all.length > 0 && shown.length === 0 && html`<${Empty} title="No agent fits"><button type="button" class="button" onClick=${() => seek({ filter: "", words: "" })}>Show all</button><//>`}
        ${shown.length > 0 && (loaded || problem) && html`<ul id="agent-list" ref=${list} class="cards">
          ${shown.map(
            (agent) => html`<${Card}
              key=${agent.id}
              agent=${agent}
              tasks=${open.filter((task) => task.agent === agent.id)}
              count=${atWork.value.get(agent.id) ?? 0}
              counts=${rates.of(agent.id, now)}
              error=${state.errors.get(agent.id) ?? ""}
              isChosen=${agent.id === chosen}
            />`,
          )}
        </ul>`}
      </section>
      ${chosen && html`<${Detail} key=${chosen} id=${chosen} agent=${found} tasks=${tasks.value.filter((task) => task.agent === chosen)} error=${state.errors.get(chosen) ?? ""} />`}
    </div>
  `;
}
