/** The page: puts the mesh's connections, the REST calls and the views together. */

import { compareCursors, connect } from "../sdk/mesh.js";
import * as api from "./api.js";
import { ChatView } from "./chat-view.js";
import { Conversation } from "./conversation.js";
import { byId, h, inFrame } from "./dom.js";
import { Feed } from "./feed.js";
import { FeedView } from "./feed-view.js";
import { SessionList } from "./sessions.js";
import { SessionsView } from "./sessions-view.js";
import { StatusView } from "./status-view.js";

const BASE = new URL("../", import.meta.url);
const SENDER = "user";
const KEPT = "mesh:feed";
const KEPT_ROWS = 150;
const PAGE = 100;

const sessions = new SessionList();
const sessionsView = new SessionsView(sessions, () => loadSessions(), () => loadSessions(nextSessions));
const feed = new Feed();
const feedView = new FeedView(feed);
const status = new StatusView();
const chatView = new ChatView({ onRetry: resend, onDiscard: discard, onEarlier: loadEarlier });

const composer = byId("composer");
const composerText = byId("composer-text");
/** @type {Map<string, string>} what was begun to be written, by session */
const drafts = new Map();

/**
 * @typedef {object} Open
 * @property {string} id               empty where there is no session yet
 * @property {Conversation} conversation
 * @property {{ close(): void } | null} connection
 * @property {any} next                where older messages go on
 * @property {"new" | "loading" | "open" | "absent" | "unread" | "gone"} state
 */

/** @type {Open | null} what the middle pane shows */
let open = null;

// ---- the feed of everything -------------------------------------------------------------------------------------

const kept = readKept();
feed.restore(kept.rows);
feedView.changed();

const events = connect("events", { base: BASE, since: kept.since, history: kept.since ? undefined : KEPT_ROWS });
let listed = "no";
// What the first connection brings from before the page was opened is no news.
let news = Boolean(kept.since);

events.on("state", (state) => {
  status.show("events", state);
  if (state.state !== "connected" || state.degraded) return;
  if (listed === "no") loadSessions();
  if (open?.state === "unread") show(open.id);
});
events.on("recovered", () => (news = true));
events.on("gap", ({ reason }) => {
  feed.note(reason === "expired" ? "Events in between are no longer kept." : "The log began anew; what was between is unknown.");
  feedView.changed();
  listed = "no";
  if (events.state.state === "connected") loadSessions();
});
events.on("*", (event) => {
  news ||= event.prev !== undefined;
  feed.add(event);
  feedView.changed();
  if (sessions.apply(event, news)) {
    sessionsView.changed();
    if (event.payload.session_id === open?.id) titleChanged();
  }
  // A session that was not there when it was opened is there now.
  if (open?.state === "absent" && event.payload?.session_id === open.id) show(open.id);
});

addEventListener("pagehide", () => {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify({ since: events.since, rows: feed.save(KEPT_ROWS) }));
  } catch {
    // full or forbidden: a reload then begins with the newest events
  }
});

function readKept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "{}") ?? {};
  } catch {
    return {};
  }
}

// ---- sessions ---------------------------------------------------------------------------------------------------

/** @type {string | undefined} where older sessions go on */
let nextSessions;

/** @param {string} [cursor] */
async function loadSessions(cursor) {
  listed = "asked";
  try {
    const answer = await api.listSessions({ limit: 200, cursor });
    sessions.load(answer.sessions ?? []);
    nextSessions = answer.next ?? undefined;
    listed = "yes";
    sessionsView.loaded("", nextSessions !== undefined);
    if (open) titleChanged();
  } catch (error) {
    listed = "no"; // tried again with the next connection
    sessionsView.loaded(messageOf(error));
  }
}

byId("new-session").addEventListener("submit", async (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  const input = byId("new-title");
  const title = input.value.trim();
  input.setCustomValidity("");
  if (!title) return input.focus();
  input.readOnly = true;
  try {
    const { session_id: id, session } = await api.createSession(title, crypto.randomUUID());
    input.value = "";
    sessions.load([{ session_id: id, title, ...session }]);
    sessionsView.changed();
    location.hash = `#/s/${id}`;
    view("chat");
    composerText.focus();
  } catch (error) {
    input.setCustomValidity(`Not created. ${messageOf(error)}`);
    input.reportValidity();
  } finally {
    input.readOnly = false;
  }
});
byId("new-title").addEventListener("input", (/** @type {any} */ { target }) => target.setCustomValidity(""));

// ---- one conversation -------------------------------------------------------------------------------------------

/** @param {string} id  empty: a conversation that has no session yet */
async function show(id) {
  const same = open?.id === id;
  if (!same && open) drafts.set(open.id, composerText.value);
  open?.connection?.close();
  const conversation = new Conversation(id, compareCursors);
  /** @type {Open} */
  const mine = { id, conversation, connection: null, next: null, state: "loading" };
  open = mine;
  sessions.read(id);
  sessionsView.changed();
  chatView.open(conversation);
  titleChanged();
  if (!same) {
    composerText.value = drafts.get(id) ?? "";
    fitComposer();
  }
  enableComposer(true);
  if (!id) {
    status.show("chat", null);
    mine.state = "new";
    return chatView.note(welcome());
  }
  chatView.loading();
  try {
    const answer = await api.getSession(id, { limit: PAGE });
    if (open !== mine) return;
    if (answer.session) sessions.load([answer.session]);
    for (const event of answer.messages ?? []) conversation.apply(event);
    mine.next = answer.next;
    mine.state = "open";
    chatView.earlier(Boolean(answer.next));
    settled();
    titleChanged();
    follow(mine, answer.cursors);
  } catch (error) {
    if (open !== mine) return;
    const { status: code } = /** @type {api.ApiError} */ (error);
    if (code === 410) return gone();
    if (code === 404) {
      mine.state = "absent";
      chatView.note(note("No such session yet", "It opens by itself with its first message. You can write it here."));
      return follow(mine, undefined);
    }
    mine.state = "unread";
    chatView.note(
      note("The messages could not be loaded", messageOf(error), h("button", { type: "button", class: "button", onclick: () => show(id) }, "Try again")),
    );
  }
}

/**
 * @param {Open} mine
 * @param {string | undefined} since
 */
function follow(mine, since) {
  const connection = connect(`chat_${mine.id}`, { base: BASE, since });
  mine.connection = connection;
  connection.on("state", (state) => status.show("chat", state));
  // What is missing comes with the messages read anew; they hold no deltas, so a gap there is none.
  connection.on("gap", ({ to }) => String(to ?? "").startsWith("S") || show(mine.id));
  connection.on("session.deleted", gone);
  connection.on("*", (event) => {
    if (mine.conversation.apply(event)) settled();
  });
}

/** Draw what changed, with words where there is no message at all. */
function settled() {
  if (!open) return;
  const empty = open.conversation.items.length === 0;
  if (open.state === "open" || !empty) {
    chatView.note(empty ? note("Nothing said yet", "Write the first message. Everyone who follows this session sees it at once.") : null);
  }
  chatView.changed();
}

function gone() {
  if (!open) return;
  open.connection?.close();
  open.state = "gone";
  status.show("chat", null);
  const conversation = new Conversation(open.id, compareCursors);
  open.conversation = conversation;
  chatView.open(conversation);
  chatView.note(note("This session was deleted", "Its messages are gone for good.", h("a", { class: "button", href: "#/" }, "New conversation")));
  enableComposer(false);
}

async function loadEarlier() {
  const mine = open;
  if (!mine?.next) return;
  try {
    const answer = await api.getSession(mine.id, { limit: PAGE, before: mine.next });
    if (open !== mine) return;
    for (const event of answer.messages ?? []) mine.conversation.apply(event);
    mine.next = answer.next;
    chatView.earlier(Boolean(answer.next));
    chatView.changed();
  } catch {
    chatView.earlier(true); // the button stays, to be pressed again
  }
}

function titleChanged() {
  if (!open) return;
  const { id } = open;
  chatView.head(id ? (sessions.find(id)?.title ?? id) : "New conversation", id);
}

// ---- writing ----------------------------------------------------------------------------------------------------

composer.addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  const content = composerText.value.trim();
  if (!content || !open || open.state === "gone") return;
  composerText.value = "";
  fitComposer();
  send(open, crypto.randomUUID(), content);
});

composerText.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  composer.requestSubmit();
});

const fitComposer = inFrame(() => {
  composerText.style.height = "auto";
  composerText.style.height = `${composerText.scrollHeight}px`;
  composer.classList.toggle("ready", composerText.value.trim() !== "");
});
composerText.addEventListener("input", fitComposer);

/**
 * @param {Open} mine
 * @param {string} key
 * @param {string} content
 */
async function send(mine, key, content) {
  const { conversation } = mine;
  conversation.send(key, SENDER, content);
  if (open === mine) settled();
  try {
    const answer = await api.say({ message: content, ...(mine.id && { session_id: mine.id }) }, key);
    conversation.sent(key, answer);
    if (open !== mine) return;
    if (mine.id) settled();
    else location.hash = `#/s/${answer.session_id}`;
  } catch (error) {
    conversation.failed(key, messageOf(error));
    if (open === mine) settled();
  }
}

/** @param {import("./conversation.js").Item} item */
function resend({ key, content }) {
  if (open) send(open, key, content);
}

/** @param {import("./conversation.js").Item} item */
function discard({ key, content }) {
  open?.conversation.discard(key);
  if (!composerText.value) composerText.value = content;
  fitComposer();
  settled();
}

/** @param {boolean} enabled */
function enableComposer(enabled) {
  composerText.disabled = !enabled;
  composer.querySelector("button").disabled = !enabled;
}

// ---- words where there is nothing -------------------------------------------------------------------------------

/**
 * @param {string} title
 * @param {string} text
 * @param {...Node} more
 */
function note(title, text, ...more) {
  return h("div", {}, h("h2", {}, title), h("p", {}, text), ...more);
}

function welcome() {
  return note("What should the agents work on?", "Write a message to begin a session, or choose one from the list. Every window that follows it sees each answer as it comes.");
}

/** @param {unknown} error */
const messageOf = (error) => (error instanceof Error ? error.message : String(error));

// ---- addresses, views, theme ------------------------------------------------------------------------------------

const root = document.documentElement;

function route() {
  const [, id = ""] = /^#\/s\/([^/]+)$/.exec(location.hash) ?? [];
  view("chat");
  let session = id;
  try {
    session = decodeURIComponent(id);
  } catch {
    // as it stands, then: the API says what is wrong with it
  }
  if (open?.id !== session || !open) show(session);
}

/** @param {string} name which pane a narrow window shows */
function view(name) {
  root.dataset.view = name;
  for (const tab of document.querySelectorAll("[data-show]")) {
    if (/** @type {HTMLElement} */ (tab).dataset.show === name) tab.setAttribute("aria-current", "true");
    else tab.removeAttribute("aria-current");
  }
}

for (const tab of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-show]"))) {
  tab.addEventListener("click", () => view(tab.dataset.show ?? "chat"));
}
byId("session-list").addEventListener("click", (/** @type {any} */ { target }) => target.closest("a") && view("chat"));
document.querySelector("[data-skip]")?.addEventListener("click", (event) => {
  event.preventDefault();
  view("chat");
  composerText.focus();
});
byId("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("mesh:theme", root.dataset.theme);
  } catch {
    // chosen for this visit only
  }
});

addEventListener("hashchange", route);
route();
if (!location.hash && matchMedia("(max-width: 47.99rem)").matches) view("sessions");
