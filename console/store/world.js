/** What the page knows of the mesh: sessions, agents and tasks, as the API told and events changed since. */

import * as api from "../api.js";
import { covers } from "../subjects.js";
import { computed, effect, signal } from "../vendor/preact.js";
import { onEvents, onGap } from "./events.js";
import { session as kept } from "./kept.js";
import { compareCursors, connection, isFeedWithheld } from "./link.js";
import { isMe, told } from "./me.js";
import { Rates, makerOf } from "./rates.js";
import { SessionList } from "./sessions.js";
import { MeshState } from "./state.js";

const AGAIN_MS = 5_000;

/** How something that is asked of the API stands: `problem` is empty unless it failed. */
const asked = () => signal({ loaded: false, loading: false, problem: "" });

export const sessions = new SessionList(isMe, kept.read("unread", {}));
export const sessionsVersion = signal(0);
export const sessionsAsked = asked();
/** Whether there are older sessions than those listed. */
export const hasOlder = signal(false);
/** @type {import("../vendor/preact.js").Signal<Set<string>>} sessions that are not shown, as they are about to be deleted */
const hidden = signal(new Set());
/** Newest first. */
export const sessionList = computed(() => (sessionsVersion.value, sessions.newestFirst.filter(({ id }) => !hidden.value.has(id))));
/** How many messages were not read yet. */
export const unreadCount = computed(() => sessionList.value.reduce((sum, { unread }) => sum + unread, 0));

export const state = new MeshState(compareCursors);
export const stateVersion = signal(0);
export const stateAsked = asked();
/** How many events each agent makes. */
export const rates = new Rates();
/** Those that are there first. */
export const agents = computed(() => (stateVersion.value, state.agents));
/** Open ones first. */
export const tasks = computed(() => (stateVersion.value, state.tasks));
/** How many open tasks each agent has. */
export const atWork = computed(() => {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { agent, open } of tasks.value) if (open && agent) counts.set(agent, (counts.get(agent) ?? 0) + 1);
  return counts;
});

/** @type {string | undefined} where older sessions go on */
let older;

/**
 * How it stands once it failed. What the mesh cannot tell at the moment is asked for again.
 *
 * @param {{ loaded: boolean }} how
 * @param {unknown} error
 */
function failed({ loaded }, error) {
  const { status = 0, message = String(error) } = /** @type {api.ApiError} */ (error);
  if (status >= 500) setTimeout(loadNeeded, AGAIN_MS);
  return { loaded, loading: false, problem: message };
}

/** @param {any[]} found  sessions as the API tells them */
export function listed(found) {
  sessions.load(found);
  sessionsVersion.value += 1;
}

/** Leave a session out of the list, or have it back. @param {string} id @param {boolean} isHidden */
export function hide(id, isHidden) {
  const now = new Set(hidden.peek());
  if (isHidden) now.add(id);
  else now.delete(id);
  hidden.value = now;
}

/** Have a session off the list that one may not see any more. @param {string} id */
export function withdrawn(id) {
  sessions.drop(id);
  sessionsVersion.value += 1;
}

/** Whether the feed tells of every session; else the list alone says which there are. */
const hearsOfAll = () => !isFeedWithheld.peek() && told.peek().read.some((mine) => covers(mine, "session.*.*"));

/** An event of the session that is open, for who hears of it in no other way. @param {import("./events.js").MeshEvent} event */
export function heard(event) {
  if (!hearsOfAll() && sessions.apply(event, false)) sessionsVersion.value += 1;
}

/** @param {string} id  the session that is read now; empty for none */
export function reads(id) {
  sessions.read(id);
  sessionsVersion.value += 1;
  lookAgain();
}

/** Read the list of sessions, or what is older than it. @param {{ more?: boolean }} [options] */
export async function loadSessions({ more = false } = {}) {
  sessionsAsked.value = { ...sessionsAsked.peek(), loading: true };
  sessions.asked();
  try {
    const answer = await api.listSessions({ limit: 200, cursor: more ? older : undefined });
    older = answer.next ?? undefined;
    hasOlder.value = older !== undefined;
    sessions.list(answer.sessions ?? [], { isFirst: !more, isLast: !answer.next });
    sessionsVersion.value += 1;
    sessionsAsked.value = { loaded: true, loading: false, problem: "" };
  } catch (error) {
    sessionsAsked.value = failed(sessionsAsked.peek(), error);
  }
}

/** Read how agents and tasks are. */
export async function loadState() {
  stateAsked.value = { ...stateAsked.peek(), loading: true };
  try {
    const [{ agents: found }, ...answers] = await Promise.all([
      api.listAgents({ limit: 1000 }),
      api.listTasks({ limit: 200, status: "running" }),
      api.listTasks({ limit: 100 }),
    ]);
    state.load(found ?? [], answers.flatMap((answer) => answer.tasks ?? []));
    stateAsked.value = { loaded: true, loading: false, problem: "" };
  } catch (error) {
    stateAsked.value = failed(stateAsked.peek(), error);
  }
  stateVersion.value += 1;
}

/** @param {{ loaded: boolean, loading: boolean, problem: string }} how */
const isNeeded = ({ loaded, loading, problem }) => !loading && (!loaded || problem !== "");

/** Read the list anew where one does not hear of every session: others share some, and take one off others. */
function lookAgain() {
  const { loaded, loading } = sessionsAsked.peek();
  if (loaded && !loading && !hearsOfAll()) void loadSessions();
}

function loadNeeded() {
  if (isNeeded(sessionsAsked.peek())) loadSessions();
  if (isNeeded(stateAsked.peek())) loadState();
}

onEvents((events, news) => {
  let changed = false;
  let moved = false;
  events.forEach((event, index) => {
    if (state.apply(event)) changed = true;
    const maker = makerOf(event.subject ?? "");
    if (maker) rates.count(maker, Date.parse(event.timestamp ?? "") || Date.now());
    if (sessions.apply(event, news[index])) moved = true;
  });
  if (changed) stateVersion.value += 1;
  if (moved) sessionsVersion.value += 1;
});

onGap(() => {
  state.clear();
  for (const each of [sessionsAsked, stateAsked]) each.value = { ...each.peek(), loaded: false };
  if (connection.peek().name === "connected") loadNeeded();
});

// What could not be read is read with the next connection.
effect(() => {
  if (connection.value.name === "connected") loadNeeded();
});

const isConnected = computed(() => connection.value.name === "connected");
effect(() => void (isConnected.value && lookAgain()));
addEventListener("visibilitychange", () => document.visibilityState === "visible" && lookAgain());

addEventListener("pagehide", () => kept.write("unread", sessions.unread));
