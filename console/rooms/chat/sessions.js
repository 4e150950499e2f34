/** The list of sessions beside the conversation: searched, by scope, and how a new one begins. */

import { Icon } from "../../parts/icons.js";
import { useRoving } from "../../parts/roving.js";
import { Lazy, Loading } from "../../parts/states.js";
import { Time } from "../../parts/small.js";
import { href } from "../../router.js";
import { useShortcuts } from "../../keys.js";
import { session } from "../../store/kept.js";
import { hasOlder, loadSessions, sessionList, sessionsAsked } from "../../store/world.js";
import { html, signal, useRef, useState } from "../../vendor/preact.js";

/** @typedef {import("../../store/sessions.js").Entry} Entry */

const MOST_SHOWN = 300;
const SCOPES = /** @type {const} */ ([
  ["", "All"],
  ["daena", "Daena"],
  ["departments", "Departments"],
  ["agents", "Agents"],
]);

/** Whether a new session is being named. */
const isNaming = signal(false);

/** What is looked for, and where; kept over a reload. */
const sought = signal(session.read("sought", { words: "", scope: "" }));

/** @param {Partial<{ words: string, scope: string }>} changes */
function seek(changes) {
  sought.value = { ...sought.peek(), ...changes };
  session.write("sought", sought.peek());
}

/** @param {Entry} entry @param {string[]} words */
function fits({ title, preview, scope, id }, words) {
  const text = `${title} ${preview} ${scope} ${id}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

/** @param {{ entry: Entry, isOpen: boolean }} props */
const Row = ({ entry, isOpen }) => html`
  <li>
    <a href=${href("chat", [entry.id])} aria-current=${isOpen ? "page" : undefined} class=${entry.unread > 0 ? "has-unread" : undefined}>
      <span class="session-line">
        <span class="session-title" title=${entry.title}>${entry.title}</span>
        <${Time} class="session-time" at=${entry.at} />
      </span>
      <span class="session-line">
        <span class="session-preview">${entry.preview || entry.scope || "No messages yet"}</span>
        ${entry.unread > 0 && html`<span class="unread"><span aria-hidden="true">${entry.unread > 99 ? "99+" : entry.unread}</span><span class="visually-hidden">${entry.unread} unread</span></span>`}
      </span>
    </a>
  </li>
`;

/** @param {{ current: string }} props  the session that is open */
export function Sessions({ current }) {
  const [most, setMost] = useState(MOST_SHOWN);
  const list = useRoving("a");
  const search = useRef(/** @type {any} */ (null));
  const entries = sessionList.value;
  const { words, scope } = sought.value;
  const { loaded, problem } = sessionsAsked.value;
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = entries.filter((entry) => (!scope || entry.kind === scope) && fits(entry, wanted));
  const isLoading = !loaded && !problem;
  const more = () => {
    setMost(most + entries.length);
    void loadSessions({ more: true });
  };
  useShortcuts([
    { keys: "/", says: "Search sessions", group: "Chat", run: () => search.current?.focus() },
    { keys: "n", says: "New session", group: "Chat", run: () => (isNaming.value = true) },
  ]);
  return html`
    <nav id="sessions" class="pane sessions" aria-label="Sessions">
      <header class="pane-head">
        <h2>Sessions</h2>
        <span id="session-count" class="count" aria-hidden="true">${entries.length ? `${entries.length}${hasOlder.value ? "+" : ""}` : ""}</span>
        <button id="new-session-button" type="button" class="icon-button to-right" aria-label="New session" title="New session (n)" aria-expanded=${isNaming.value} onClick=${() => (isNaming.value = !isNaming.peek())}><${Icon} name="plus" /></button>
      </header>
      ${isNaming.value && html`<${Lazy} load=${() => import("./new-session.js")} end=${() => (isNaming.value = false)} />`}
      <div class="seek">
        <label class="visually-hidden" for="session-search">Search sessions</label>
        <${Icon} name="search" size=${16} />
        <input ref=${search} id="session-search" type="search" placeholder="Search" autocomplete="off" value=${words} onInput=${(/** @type {any} */ { target }) => seek({ words: target.value })} />
      </div>
      <div class="scopes" role="group" aria-label="With whom">
        ${SCOPES.map(([name, title]) => html`<button key=${name} type="button" class="chip" aria-pressed=${scope === name} onClick=${() => seek({ scope: name })}>${title}</button>`)}
      </div>
      ${problem &&
      html`<p id="sessions-note" class="note bad">The list could not be loaded. ${problem}<br /><button type="button" class="text-button" onClick=${() => loadSessions()}>Try again</button></p>`}
      ${loaded && entries.length === 0 && html`<p id="sessions-note" class="note">No sessions yet. Begin one with +, or just write a message.</p>`}
      ${entries.length > 0 && shown.length === 0 && html`<p id="sessions-note" class="note">Nothing fits. <button type="button" class="text-button" onClick=${() => seek({ words: "", scope: "" })}>Show all</button></p>`}
      ${isLoading && html`<${Loading} label="Loading sessions" />`}
      ${!isLoading &&
      html`<ul id="session-list" ref=${list} class="session-list">
        ${shown.slice(0, most).map((entry) => html`<${Row} key=${entry.id} entry=${entry} isOpen=${entry.id === current} />`)}
      </ul>`}
      ${hasOlder.value && html`<button id="older-sessions" class="text-button older" type="button" onClick=${more}>Older sessions</button>`}
    </nav>
  `;
}
