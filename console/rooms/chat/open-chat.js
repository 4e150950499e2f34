/** The session that is open: read from the API, followed live from there, and written to. */

import { Conversation } from "../../../sdk/conversation.js";
import * as api from "../../api.js";
import { inFrame } from "../../frame.js";
import { go, href } from "../../router.js";
import { onEvents } from "../../store/events.js";
import { session as kept } from "../../store/kept.js";
import { compareCursors, connection, follow, isWithheld, mesh } from "../../store/link.js";
import { name, sender } from "../../store/me.js";
import { heard, listed, sessions, withdrawn } from "../../store/world.js";
import { computed, effect, signal } from "../../vendor/preact.js";

/** @typedef {import("../../../sdk/js/conversation.js").Item} Item */

const PAGE = 100;
const FRESH_MS = 5_000;
const TYPING_EVERY_MS = 3_000;

/**
 * @typedef {object} Open
 * @property {string} id               empty where there is no session yet
 * @property {Conversation} conversation
 * @property {{ close(): void } | null} following
 * @property {number} readAt           when its messages were read, in milliseconds
 * @property {string | null} next      where older messages go on
 * @property {"new" | "loading" | "open" | "absent" | "unread" | "gone" | "foreign"} state
 * @property {string} problem          why it is unread
 * @property {number} fresh            how many messages were unread when it was opened
 * @property {string} newFrom          key of the first of these
 * @property {Map<string, number>} here  who is here, since when
 */

/** @param {string} id @returns {Open} */
const fresh = (id) => ({
  id,
  conversation: new Conversation(id, compareCursors),
  following: null,
  readAt: Date.now(),
  next: null,
  state: id ? "loading" : "new",
  problem: "",
  fresh: 0,
  newFrom: "",
  here: new Map(),
});

/** What is open. It is changed in place, and shown as a copy: components that use signals see other objects alone. */
let mine = fresh("");
const version = signal(0);
const shown = computed(() => (version.value, { ...mine }));
export const current = () => shown.value;

const changed = () => inFrame(bump);
const bump = () => void (version.value += 1);

/**
 * What was written and is not stored, by session: it outlives a reload, and so does its key.
 *
 * @type {Record<string, Array<{ key: string, content: string }>>}
 */
const unsent = kept.read("unsent", {});

/** @param {string} id @param {string} key @param {string} [content]  none: it is stored, or taken back */
function keepUnsent(id, key, content) {
  const others = (unsent[id] ?? []).filter((each) => each.key !== key);
  const all = content === undefined ? others : [...others, { key, content }];
  if (all.length) unsent[id] = all;
  else delete unsent[id];
  kept.write("unsent", unsent);
}

/** Open a session. @param {string} id  empty: a conversation that has no session yet */
export async function show(id) {
  if (mine.id === id && mine.state !== "unread" && (mine.state !== "gone" || id)) return;
  await read(id, sessions.find(id)?.unread);
}

/** @param {string} id @param {number} [unread]  how many of its messages nobody has seen here */
async function read(id, unread = 0) {
  mine.following?.close();
  const now = fresh(id);
  now.fresh = unread;
  mine = now;
  for (const { key, content } of unsent[id] ?? []) {
    now.conversation.send(key, sender(), content);
    now.conversation.failed(key, "The page was left before the mesh had answered.");
  }
  bump();
  if (!id) return;
  try {
    const answer = await api.getSession(id, { limit: PAGE });
    if (mine !== now) return;
    listed([answer.session]);
    now.state = "open";
    take(answer);
    if (now.fresh > 0) now.newFrom = now.conversation.items.filter(({ status }) => status === "stored").at(-now.fresh)?.key ?? "";
    follows(now, answer.since ?? answer.cursors);
  } catch (error) {
    if (mine === now) missing(/** @type {api.ApiError} */ (error));
  }
}

/** Read it again. */
export const again = () => read(mine.id);

/** @param {api.ApiError} error */
function missing({ status, message }) {
  if (status === 410) return gone();
  if (status === 403) return gone("foreign");
  if (status === 404) {
    mine.state = "absent";
    follows(mine, undefined);
  } else {
    mine.state = "unread";
    mine.problem = message;
  }
  changed();
}

/** @param {Open} now @param {string | undefined} since */
function follows(now, since) {
  const following = follow(`chat_${now.id}`, { since });
  now.following = following;
  following.on("gap", ({ to }) => {
    // What is missing comes with the messages read anew. They hold no signals, and just read they miss nothing.
    const isOurs = !String(to ?? "").startsWith("S") && Date.now() - now.readAt > FRESH_MS;
    if (isOurs && mine === now) void read(now.id);
  });
  following.on("session.deleted", () => mine === now && gone());
  // What a writer wrote before one came is there at once: however slowly it arrives, nobody sees it grow again.
  let isCaughtUp = false;
  const stands = (/** @type {import("../../store/link.js").ConnectionState} */ state) => {
    if (mine !== now) return;
    if (isWithheld(state)) return gone("foreign");
    if (state.state !== "connected") return;
    void readPresence(now);
    isCaughtUp = true;
    changed();
  };
  following.on("state", stands);
  stands(following.state);
  following.on("*", (event) => {
    if (event.event_type === "chat.message") keepUnsent(now.id, String(event.payload?.message_id ?? ""));
    if (now.conversation.apply(event) && isCaughtUp) changed();
    heard(event);
  });
}

/** A page of messages was read. @param {any} answer */
function take(answer) {
  for (const event of answer.messages ?? []) mine.conversation.apply(event);
  mine.next = answer.next ?? null;
  changed();
}

/** Read older messages. */
export async function earlier() {
  const now = mine;
  if (now.next === null) return;
  try {
    const answer = await api.getSession(now.id, { limit: PAGE, before: now.next });
    if (mine === now) take(answer);
  } catch {
    // the button stays, to be pressed again
  }
}

/** It was deleted, or one does not belong to it (any more). @param {"gone" | "foreign"} [state] */
function gone(state = "gone") {
  mine.following?.close();
  mine = { ...fresh(mine.id), state };
  withdrawn(mine.id);
  changed();
}

/** Whoever follows a session is in it, though the mesh may not have told it of oneself by now. @param {Open} now */
async function readPresence(now) {
  const askedAt = Date.now();
  try {
    const { users = [] } = await api.presence(`chat_${now.id}`);
    const found = users.map((/** @type {any} */ { who, since }) => [who, Date.parse(since) || 0]);
    const came = [...now.here].filter(([, since]) => since >= askedAt);
    /** @type {Array<[string, number]>} */
    const self = name.peek() ? [[name.peek(), askedAt]] : [];
    now.here = new Map([...self, ...found, ...came]);
    changed();
  } catch {
    // whoever comes is told of
  }
}

/**
 * Say something.
 *
 * @param {string} content
 * @param {string} [key]  the same for a retry, so that nothing is said twice
 */
export async function say(content, key = crypto.randomUUID()) {
  const now = mine;
  const { conversation, id } = now;
  conversation.send(key, sender(), content);
  keepUnsent(id, key, content);
  changed();
  try {
    const body = { message: content, sender: sender(), ...(id && { session_id: id }) };
    const answer = await api.say(body, key, sessions.find(id)?.with);
    conversation.sent(key, answer);
    keepUnsent(id, key);
    if (mine === now && !id) go(href("chat", [answer.session_id]));
  } catch (error) {
    conversation.failed(key, error instanceof Error ? error.message : String(error));
  }
  changed();
}

/** Take back a message that was not sent. @param {Item} item */
export function discard({ key }) {
  mine.conversation.discard(key);
  keepUnsent(mine.id, key);
  changed();
}

/**
 * Have the writer of a message stop; what there is by then comes as the message.
 *
 * @param {Item} item
 * @returns {Promise<boolean>} whether it was told
 */
export async function stop({ messageId }) {
  try {
    await api.stop(mine.id, messageId, crypto.randomUUID());
    return true;
  } catch (error) {
    return /** @type {api.ApiError} */ (error).status === 409; // it has just ended by itself
  }
}

let typedAt = 0;

/** Tell the others that one is typing. */
export function typing() {
  if (mine.state !== "open" || connection.peek().name !== "connected" || Date.now() - typedAt < TYPING_EVERY_MS) return;
  typedAt = Date.now();
  mesh.send(`chat.${mine.id}.typing`, { sender: sender() }).catch(() => {}); // who may not tell does not
}

onEvents((all) => {
  for (const { event_type: type, payload } of all) {
    if (payload?.topic !== `chat_${mine.id}` || !mine.id) continue;
    if (!/^presence\.(join|leave)$/.test(type) || typeof payload.who !== "string") continue;
    const others = [...mine.here].filter(([who]) => who !== payload.who);
    mine.here = new Map(type === "presence.join" ? [...others, [payload.who, Date.now()]] : others);
    changed();
  }
  if (mine.state !== "absent") return;
  // A session that was not there when it was opened is there now.
  const isThere = all.some(({ event_type: type, payload }) => payload?.session_id === mine.id && /^(session|chat\.message)/.test(type));
  if (isThere && sessions.find(mine.id)) void read(mine.id);
});

// What could not be read is read with the next connection.
effect(() => {
  if (connection.value.name === "connected" && mine.state === "unread") void again();
});
