/** What goes on right now, beside a conversation: who writes, who works, and how far it has come. */

import { Assembly } from "../../../sdk/assembly.js";
import { short } from "../../format.js";
import { Badge, Bar } from "../../parts/small.js";
import { href } from "../../router.js";
import { onEvents } from "../../store/events.js";
import { local } from "../../store/kept.js";
import { told } from "../../store/me.js";
import { agents, sessions, sessionsVersion, stateAsked, tasks } from "../../store/world.js";
import { html, signal } from "../../vendor/preact.js";

const MOST_AGENTS = 8;
const MOST_TASKS = 6;
const MOST_WRITING = 50;
const SILENT_MS = 20_000;
const TAIL = 90;

export const isAsideOpen = signal(local.read("aside", true));

/** @param {boolean} isOpen */
export function setAside(isOpen) {
  isAsideOpen.value = isOpen;
  local.write("aside", isOpen);
}

/** @typedef {{ session: string, sender: string, assembly: Assembly, text: string, at: number }} Writing */

/** @type {Map<string, Writing>} by message, what is being written anywhere */
const written = new Map();
const version = signal(0);

onEvents((all) => {
  let changed = false;
  for (const { event_type: type, payload } of all) {
    const id = payload?.message_id;
    if (type === "chat.message") changed = written.delete(id) || changed;
    if (type !== "chat.delta" || typeof id !== "string") continue;
    const known = written.get(id) ?? { session: String(payload.session_id ?? ""), sender: String(payload.sender ?? ""), assembly: new Assembly(), text: "", at: 0 };
    known.at = Date.now();
    if (known.assembly.take(payload)) known.text = known.assembly.text;
    written.set(id, known);
    if (written.size > MOST_WRITING) written.delete(/** @type {string} */ (written.keys().next().value));
    changed = true;
  }
  if (changed) version.value += 1;
});

/** @param {{ writing: Writing }} props */
const Writing = ({ writing: { session, sender, text } }) => html`
  <li>
    <a href=${href("chat", [session])}>
      <span class="now-line"><b>${sender}</b><span class="muted">${sessions.find(session)?.title ?? session}</span></span>
      <span class="tail words">${text.length > TAIL ? `…${short(text.slice(-TAIL), TAIL)}` : short(text, TAIL) || "…"}</span>
    </a>
  </li>
`;

export function Now() {
  void version.value;
  void sessionsVersion.value;
  const writing = [...written.values()].filter(({ session, at }) => session && Date.now() - at < SILENT_MS).slice(-3);
  const there = agents.value.filter((agent) => agent.there);
  const open = tasks.value.filter((task) => task.open);
  const { loaded } = stateAsked.value;
  return html`
    <aside id="now" class="pane now" aria-label="What goes on">
      <section aria-labelledby="now-agents">
        <h3 id="now-agents"><a href=${href("agents")}>Agents</a><span class="count">${there.length || ""}</span></h3>
        <ul>
          ${there.slice(0, MOST_AGENTS).map(
            (agent) => html`
              <li key=${agent.id}>
                <a href=${href("agents", [agent.id])}>
                  <span class="now-line"><b>${agent.id}</b><${Badge} status=${agent.status} /></span>
                  <span class="tail">${agent.does || "—"}</span>
                </a>
              </li>
            `,
          )}
        </ul>
        ${loaded && there.length === 0 && html`<p class="note">${told.value.open ? html`No agent is here. <code>mesh demo</code> brings some.` : "No agent is here that you may see."}</p>`}
      </section>
      <section aria-labelledby="now-tasks">
        <h3 id="now-tasks"><a href=${href("tasks")}>Tasks</a><span class="count">${open.length || ""}</span></h3>
        <ul>
          ${open.slice(0, MOST_TASKS).map(
            (task) => html`
              <li key=${task.id}>
                <a href=${href("tasks", [], { task: task.id })}>
                  <span class="now-line"><b>${task.title}</b></span>
                  <${Bar} share=${task.progress.share} label=${`Progress of ${task.title}`} />
                  <span class="now-line muted"><span>${task.progress.words || "\u00a0"}</span><span class="spacer"></span><span>${task.agent}</span></span>
                </a>
              </li>
            `,
          )}
        </ul>
        ${loaded && open.length === 0 && html`<p class="note">Nobody works on anything.</p>`}
      </section>
      <section aria-labelledby="now-writing">
        <h3 id="now-writing"><span>Being written</span><span class="count">${writing.length || ""}</span></h3>
        <ul>${writing.map((each) => html`<${Writing} writing=${each} />`)}</ul>
        ${writing.length === 0 && html`<p class="note">No answer right now.</p>`}
      </section>
    </aside>
  `;
}
