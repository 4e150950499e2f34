/** The form that begins a session: a title, and whom it is with. */

import * as api from "../../api.js";
import { go, href } from "../../router.js";
import { agents, listed, sessionList } from "../../store/world.js";
import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { focusComposer } from "./composer.js";

const ID = /^[A-Za-z0-9_-]{1,64}$/;

/** Whom one can talk to, as the mesh has shown so far: agents that are there, and departments of other sessions. */
function others() {
  const departments = sessionList.value.flatMap(({ with: other }) => (other?.kind === "department" ? [other.id] : []));
  const found = agents.value.filter(({ there, id }) => there && ID.test(id)).map(({ id }) => id);
  return { departments: [...new Set(departments)].sort(), agents: found };
}

/** @param {{ end: () => void }} props */
export default function NewSession({ end }) {
  const title = useRef(/** @type {any} */ (null));
  const other = useRef(/** @type {any} */ (null));
  const [{ busy, problem }, setAsked] = useState({ busy: false, problem: "" });
  useEffect(() => title.current.focus(), []);
  const create = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const [kind, id] = other.current.value.split(" ");
    const name = title.current.value.trim();
    if (!name) return title.current.focus();
    setAsked({ busy: true, problem: "" });
    try {
      const scope = kind ? { scope_type: kind, scope_id: id } : {};
      const { session_id: made, session } = await api.createSession(name, crypto.randomUUID(), scope);
      listed([session]);
      end();
      go(href("chat", [made]));
      setTimeout(focusComposer, 50);
    } catch (error) {
      setAsked({ busy: false, problem: `Not created. ${error instanceof Error ? error.message : error}` });
    }
  };
  const { departments, agents: found } = others();
  return html`
    <form
      id="new-session"
      class="new-session"
      autocomplete="off"
      novalidate
      onSubmit=${create}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
        if (event.key !== "Escape") return;
        end();
        document.getElementById("new-session-button")?.focus();
      }}
    >
      <label class="visually-hidden" for="new-title">Title of the new session</label>
      <input ref=${title} id="new-title" name="title" type="text" maxlength="200" placeholder="What is it about?" enterkeyhint="done" readonly=${busy} />
      <div class="new-session-line">
        <label for="new-with">With</label>
        <select ref=${other} id="new-with">
          <option value="">Daena</option>
          ${departments.map((id) => html`<option value=${`department ${id}`}>Department ${id}</option>`)}
          ${found.map((id) => html`<option value=${`agent ${id}`}>${id}</option>`)}
        </select>
        <button class="button primary" type="submit" disabled=${busy}>Create</button>
      </div>
      ${problem && html`<p class="note bad" role="alert">${problem}</p>`}
    </form>
  `;
}
