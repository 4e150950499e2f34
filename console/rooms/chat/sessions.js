/** The list of sessions beside the conversation. */

import * as api from "../../api.js";
import { Icon } from "../../parts/icons.js";
import { useRoving } from "../../parts/roving.js";
import { Loading } from "../../parts/states.js";
import { Time } from "../../parts/small.js";
import { go, href } from "../../router.js";
import { hasOlder, listed, loadSessions, sessionList, sessionsAsked } from "../../store/world.js";
import { html, useRef, useState } from "../../vendor/preact.js";
import { focusComposer } from "./composer.js";

const MOST_SHOWN = 300;

function NewSession() {
  const box = useRef(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  const create = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const title = box.current.value.trim();
    if (!title) return box.current.focus();
    setBusy(true);
    try {
      const { session_id: id, session } = await api.createSession(title, crypto.randomUUID());
      box.current.value = "";
      listed([session]);
      go(href("chat", [id]));
      setTimeout(focusComposer);
    } catch (error) {
      box.current.setCustomValidity(`Not created. ${error instanceof Error ? error.message : error}`);
      box.current.reportValidity();
    } finally {
      setBusy(false);
    }
  };
  return html`
    <form id="new-session" class="new-session" autocomplete="off" novalidate onSubmit=${create}>
      <label class="visually-hidden" for="new-title">Title of a new session</label>
      <input ref=${box} id="new-title" name="title" type="text" maxlength="200" placeholder="New session…" enterkeyhint="done" readonly=${busy} onInput=${() => box.current.setCustomValidity("")} />
      <button class="icon-button" type="submit" aria-label="Create session" title="Create session"><${Icon} name="plus" /></button>
    </form>
  `;
}

/** @param {{ entry: import("../../store/sessions.js").Entry, isOpen: boolean }} props */
const Row = ({ entry, isOpen }) => html`
  <li>
    <a href=${href("chat", [entry.id])} aria-current=${isOpen ? "page" : undefined}>
      <span class="session-line">
        <span class="session-title" title=${entry.title}>${entry.title}</span>
        <${Time} class="session-time" at=${entry.at} />
      </span>
      <span class="session-line">
        <span class="session-preview">${entry.preview || entry.scope || "No messages yet"}</span>
        ${entry.unread > 0 && html`<span class="unread" aria-label=${`${entry.unread} unread`}>${entry.unread > 99 ? "99+" : entry.unread}</span>`}
      </span>
    </a>
  </li>
`;

/** @param {{ current: string }} props  the session that is open */
export function Sessions({ current }) {
  const [most, setMost] = useState(MOST_SHOWN);
  const list = useRoving("a");
  const entries = sessionList.value;
  const { loaded, problem } = sessionsAsked.value;
  const isLoading = !loaded && !problem && entries.length === 0;
  const more = () => {
    setMost(most + entries.length);
    void loadSessions({ more: true });
  };
  return html`
    <nav id="sessions" class="pane sessions" aria-label="Sessions">
      <header class="pane-head">
        <h2>Sessions</h2>
        <span id="session-count" class="count" aria-hidden="true">${entries.length ? `${entries.length}${hasOlder.value ? "+" : ""}` : ""}</span>
      </header>
      <${NewSession} />
      ${problem &&
      html`<p id="sessions-note" class="note bad">The list could not be loaded. ${problem}<br /><button type="button" class="text-button" onClick=${() => loadSessions()}>Try again</button></p>`}
      ${loaded && entries.length === 0 && html`<p id="sessions-note" class="note">No sessions yet. Name one above, or just write a message.</p>`}
      ${isLoading && html`<${Loading} label="Loading sessions" />`}
      <ul id="session-list" ref=${list} class="session-list">
        ${entries.slice(0, most).map((entry) => html`<${Row} key=${entry.id} entry=${entry} isOpen=${entry.id === current} />`)}
      </ul>
      ${hasOlder.value && html`<button id="older-sessions" class="text-button older" type="button" onClick=${more}>Older sessions</button>`}
    </nav>
  `;
}
