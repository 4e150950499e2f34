/** One agent in full: what it did, what it works on, and a question for it. */

import * as api from "../../api.js";
import { clockSeconds, moment, summary } from "../../format.js";
import { Icon } from "../../parts/icons.js";
import { Badge, Time } from "../../parts/small.js";
import { Loading } from "../../parts/states.js";
import { go, href } from "../../router.js";
import { onEvents } from "../../store/events.js";
import { sender } from "../../store/me.js";
import { listed, stateAsked } from "../../store/world.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../../vendor/preact.js";

const MOST_ACTIVITIES = 100;
const MOST_TASKS = 12;

/** @typedef {{ cursor: string, at: number, text: string }} Did */

/** @param {{ id: string, takes: boolean }} props */
function Ask({ id, takes }) {
  const box = useRef(/** @type {any} */ (null));
  const [{ busy, problem }, setAsked] = useState({ busy: false, problem: "" });
  const key = useRef({ text: "", key: "" });
  const ask = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const text = box.current.value.trim();
    if (!text) return box.current.focus();
    // The same question again is the same question, where an answer to the first try was lost.
    if (key.current.text !== text) key.current = { text, key: crypto.randomUUID() };
    setAsked({ busy: true, problem: "" });
    try {
      const answer = await api.askAgent(id, { message: text, sender: sender() }, key.current.key);
      listed([]);
      go(href("chat", [answer.session_id]));
    } catch (error) {
      setAsked({ busy: false, problem: `Not asked. ${error instanceof Error ? error.message : error}` });
    }
  };
  return html`
    <form class="ask" onSubmit=${ask}>
      <label for="ask">Ask ${id}</label>
      <div class="ask-line">
        <input ref=${box} id="ask" type="text" autocomplete="off" placeholder=${takes ? "A question…" : "It takes no questions now"} readonly=${busy} />
        <button class="button primary" type="submit" disabled=${busy}>Ask</button>
      </div>
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
    </form>
  `;
}

/** What an agent did, newest last: from the log, and on from there. @param {string} id */
function useActivity(id) {
  const [did, setDid] = useState({ loaded: false, problem: "", all: /** @type {Did[]} */ ([]) });
  useEffect(() => {
    let over = false;
    /** @param {Did[]} more */
    const add = (more, changes = {}) =>
      setDid((now) => {
        const known = new Set(now.all.map(({ cursor }) => cursor));
        const all = [...now.all, ...more.filter(({ cursor }) => !known.has(cursor))].sort((a, b) => a.at - b.at);
        return { ...now, ...changes, all: all.slice(-MOST_ACTIVITIES) };
      });
    const off = onEvents((events) => {
      const mine = events.filter(({ event_type: type, subject }) => type === "agent.activity" && subject?.split(".")[1] === id);
      if (mine.length) add(mine.map((event) => ({ cursor: event.cursor ?? "", at: Date.parse(event.timestamp ?? ""), text: summary(event) })));
    });
    api.listActivity(id, { limit: 50 }).then(
      ({ activities = [] }) => {
        const found = activities.map((/** @type {any} */ each) => ({ cursor: each.cursor, at: Date.parse(each.timestamp), text: summary({ event_type: "agent.activity", payload: each.payload }) }));
        if (!over) add(found, { loaded: true });
      },
      (error) => over || setDid((now) => ({ ...now, loaded: true, problem: error.status === 404 ? "" : error.message })),
    );
    return () => {
      over = true;
      off();
    };
  }, [id]);
  return did;
}

/** Newest last, as a log reads; who looks at its end stays there. @param {{ all: Did[] }} props */
function Log({ all }) {
  const list = useRef(/** @type {any} */ (null));
  const sticks = useRef(true);
  useLayoutEffect(() => {
    if (sticks.current) list.current.scrollTop = list.current.scrollHeight;
  });
  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = list.current;
    sticks.current = scrollHeight - scrollTop - clientHeight < 40;
  };
  return html`
    <ol ref=${list} class="short did" tabindex="0" aria-label="What it did" onScroll=${scrolled}>
      ${all.map(({ cursor, at, text }) => html`<li key=${cursor}><${Time} at=${at} words=${clockSeconds} /><span>${text}</span></li>`)}
    </ol>
  `;
}

/** @param {{ id: string, agent: import("../../store/state.js").Agent | undefined, tasks: import("../../store/state.js").Task[], error: string }} props */
export function Detail({ id, agent, tasks, error }) {
  const { loaded, problem, all } = useActivity(id);
  const isKnown = stateAsked.value.loaded || stateAsked.value.problem !== "";
  return html`
    <section class="pane agent-detail" aria-labelledby="agent-detail-title">
      <header class="pane-head">
        <h2 id="agent-detail-title">${id}</h2>
        <${Badge} status=${agent?.status ?? ""} />
        <a class="icon-button to-right" href=${href("agents")} aria-label="Close"><${Icon} name="close" /></a>
      </header>
      ${!isKnown && html`<${Loading} label=${`Loading ${id}`} />`}
      <div class="detail-body" hidden=${!isKnown}>
        ${!agent && html`<p class="note">Nothing was heard of it so far.</p>`}
        <${Ask} id=${id} takes=${agent?.serves.includes(`agent/${id}`) ?? false} />
        <dl class="facts">
          ${agent && agent.at > 0 && html`<div><dt>Heard of</dt><dd><${Time} at=${agent.at} words=${clockSeconds} /></dd></div>`}
          ${agent && agent.serves.length > 0 && html`<div><dt>Answers for</dt><dd>${agent.serves.join(", ")}</dd></div>`}
          ${agent?.reason && html`<div><dt>Why</dt><dd>${agent.reason}</dd></div>`}
          ${error && html`<div><dt>Last error</dt><dd class="bad">${error}</dd></div>`}
        </dl>
        ${tasks.length > 0 &&
        html`
          <h3>Tasks</h3>
          <ul class="short detail-tasks">
            ${tasks.slice(0, MOST_TASKS).map(
              ({ id: task, title, status, progress, at }) => html`<li key=${task}><a href=${href("tasks", [], { task })}>${title}</a><span class="muted">${progress.words || moment(at)}</span><${Badge} status=${status} /></li>`,
            )}
          </ul>
        `}
        <h3>What it did</h3>
        ${!loaded && html`<${Loading} label="Loading activity" widths=${[80, 60, 70]} />`}
        ${problem && html`<p class="note bad">The log could not be read. ${problem}</p>`}
        ${loaded && all.length === 0 && html`<p class="note">It has told of nothing so far.</p>`}
        ${loaded && html`<${Log} all=${all} />`}
      </div>
    </section>
  `;
}
