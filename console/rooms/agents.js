/** The room of agents: how they are, and what they do now. */

import { useRoving } from "../parts/roving.js";
import { Badge, Time } from "../parts/small.js";
import { Empty, Loading, Problem } from "../parts/states.js";
import { agents, atWork, loadState, stateAsked } from "../store/world.js";
import { html } from "../vendor/preact.js";

const MOST_SHOWN = 300;

/** @param {{ agent: import("../store/state.js").Agent, tasks: number }} props */
const Card = ({ agent, tasks }) => html`
  <li class=${agent.there ? "card" : "card away"}>
    <div class="state-line">
      <span class="name" title=${agent.id}>${agent.id}</span>
      <span class="more">${agent.there ? tasks > 0 && `${tasks} task${tasks === 1 ? "" : "s"}` : agent.at > 0 && html`seen <${Time} at=${agent.at} />`}</span>
      <${Badge} status=${agent.status} />
    </div>
    ${agent.does && html`<p class="does" title=${agent.does}>${agent.does}</p>`}
  </li>
`;

export default function Agents() {
  const { loaded, problem } = stateAsked.value;
  const shown = agents.value.slice(0, MOST_SHOWN);
  const list = useRoving("a, button");
  return html`
    <section id="agents" class="pane" aria-labelledby="agents-title">
      <header class="pane-head"><h2 id="agents-title">Agents</h2><span class="count">${agents.value.filter(({ there }) => there).length || ""}</span></header>
      ${shown.length === 0 && problem && html`<${Problem} title="The agents could not be read" text=${problem} retry=${loadState} />`}
      ${shown.length === 0 && !problem && !loaded && html`<${Loading} label="Loading agents" />`}
      ${shown.length === 0 && loaded && html`<${Empty} title="No agents yet"><p>Agents show here once they say something.</p><//>`}
      <ul id="agent-list" ref=${list} class="state-list">${shown.map((agent) => html`<${Card} key=${agent.id} agent=${agent} tasks=${atWork.value.get(agent.id) ?? 0} />`)}</ul>
    </section>
  `;
}
