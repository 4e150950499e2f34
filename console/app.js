/** The page: puts the mesh's feed of everything, the list of sessions and the open one together. */

import { compareCursors, connect } from "../sdk/mesh.js";
import { AgentsView } from "./agents-view.js";
import * as api from "./api.js";
import { byId } from "./dom.js";
import { Feed } from "./feed.js";
import { FeedView } from "./feed-view.js";
import { OpenChat } from "./open-chat.js";
import { isNarrow, showPane } from "./panes.js";
import { SessionList } from "./sessions.js";
import { SessionsView } from "./sessions-view.js";
import "./side-tabs.js";
import { MeshState } from "./state.js";
import { StatusView } from "./status-view.js";
import { TasksView } from "./tasks-view.js";

const BASE = new URL("../", import.meta.url);
const KEPT = "mesh:feed";
const KEPT_ROWS = 150;

const status = new StatusView();
const feed = new Feed();
const feedView = new FeedView(feed);
const sessions = new SessionList();
const sessionsView = new SessionsView(
  sessions,
  () => loadSessions(),
  () => loadSessions(older),
);
const mesh = new MeshState(compareCursors);
const agentsView = new AgentsView(mesh);
const tasksView = new TasksView(mesh, (task) => api.cancelTask(task.id, crypto.randomUUID()));
const chat = new OpenChat(BASE, sessions, status, {
  onSession: (session) => listed([session]),
  onBegun: (id) => void (location.hash = `#/s/${id}`),
});

// ---- the feed of everything -------------------------------------------------------------------------------------

const kept = readKept();
feed.restore(kept.rows);
feedView.changed();

const events = connect("events", { base: BASE, since: kept.since, history: kept.since ? undefined : KEPT_ROWS });
// What the first connection brings from before the page was opened is no news.
let news = Boolean(kept.since);

events.on("state", (state) => {
  status.show("events", state);
  if (state.state !== "connected" || state.degraded) return;
  if (!isListed) loadSessions();
  if (!isStateLoaded) loadState();
  if (chat.isUnread) chat.show(chat.id);
});
events.on("recovered", () => (news = true));
events.on("gap", ({ reason }) => {
  feed.note(reason === "expired" ? "Events in between are no longer kept." : "The log began anew; what was between is unknown.");
  feedView.changed();
  isListed = isStateLoaded = false;
  mesh.clear();
  if (events.state.state !== "connected") return;
  loadSessions();
  loadState();
});
events.on("*", (event) => {
  news ||= event.prev !== undefined;
  feed.add(event);
  feedView.changed();
  if (mesh.apply(event)) stateChanged();
  const changed = sessions.apply(event, news);
  if (changed) sessionsView.changed();
  if (event.payload?.session_id !== chat.id) return;
  if (changed) chat.titleChanged();
  // A session that was not there when it was opened is there now.
  if (changed && chat.isAbsent) chat.show(chat.id);
});

addEventListener("pagehide", () => {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify({ since: events.since, rows: feed.save(KEPT_ROWS) }));
  } catch {
    // full or forbidden: a reload then begins with what is new
  }
});

function readKept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "{}") ?? {};
  } catch {
    return {};
  }
}

// ---- agents and tasks -------------------------------------------------------------------------------------------

let isStateLoaded = false;

/** What is so already; what comes after it, events tell. */
async function loadState() {
  isStateLoaded = true; // or being loaded
  try {
    const [{ agents }, ...tasks] = await Promise.all([
      api.listAgents({ limit: 1000 }),
      api.listTasks({ limit: 200, status: "running" }),
      api.listTasks({ limit: 100 }),
    ]);
    mesh.load(agents ?? [], tasks.flatMap((answer) => answer.tasks ?? []));
  } catch {
    isStateLoaded = false; // tried again with the next connection; events tell what happens meanwhile
  }
  stateChanged();
}

function stateChanged() {
  agentsView.changed();
  tasksView.changed();
}

// ---- sessions ---------------------------------------------------------------------------------------------------

let isListed = false;
/** @type {string | undefined} where older sessions go on */
let older;

/** @param {string} [cursor] */
async function loadSessions(cursor) {
  isListed = true; // or being listed
  try {
    const answer = await api.listSessions({ limit: 200, cursor });
    older = answer.next ?? undefined;
    listed(answer.sessions ?? []);
    sessionsView.loaded("", older !== undefined);
  } catch (error) {
    isListed = false; // tried again with the next connection
    sessionsView.loaded(messageOf(error));
  }
}

/** @param {any[]} found */
function listed(found) {
  sessions.load(found);
  sessionsView.changed();
  chat.titleChanged();
}

const newTitle = byId("new-title");

byId("new-session").addEventListener("submit", async (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  const title = newTitle.value.trim();
  newTitle.setCustomValidity("");
  if (!title) return newTitle.focus();
  newTitle.readOnly = true;
  try {
    const { session_id: id, session } = await api.createSession(title, crypto.randomUUID());
    newTitle.value = "";
    listed([session]);
    location.hash = `#/s/${id}`;
    showPane("chat");
    chat.composer.focus();
  } catch (error) {
    newTitle.setCustomValidity(`Not created. ${messageOf(error)}`);
    newTitle.reportValidity();
  } finally {
    newTitle.readOnly = false;
  }
});
newTitle.addEventListener("input", () => newTitle.setCustomValidity(""));

/** @param {unknown} error */
const messageOf = (error) => (error instanceof Error ? error.message : String(error));

// ---- addresses --------------------------------------------------------------------------------------------------

/** Open the session that the address names. */
function route() {
  const [, name = ""] = /^#\/s\/([^/]+)$/.exec(location.hash) ?? [];
  let id = name;
  try {
    id = decodeURIComponent(name);
  } catch {
    // as it stands, then: the API says what is wrong with it
  }
  showPane("chat");
  sessions.read(id);
  sessionsView.changed();
  chat.show(id);
}

byId("session-list").addEventListener("click", (/** @type {any} */ { target }) => target.closest("a") && showPane("chat"));
document.querySelector("[data-skip]")?.addEventListener("click", (event) => {
  event.preventDefault();
  showPane("chat");
  chat.composer.focus();
});
addEventListener("hashchange", route);
route();
if (!location.hash && isNarrow()) showPane("sessions");
