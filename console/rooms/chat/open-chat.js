/** The session that is open: read from the API, followed live from there, and written to. */

import { Conversation } from "../../../sdk/conversation.js";
import * as api from "../../api.js";
import { inFrame } from "../../frame.js";
import { go, href } from "../../router.js";
import { onEvents } from "../../store/events.js";
import { compareCursors, connection, follow } from "../../store/link.js";
import { listed, sessions } from "../../store/world.js";
import { effect, signal } from "../../vendor/preact.js";

/** @typedef {import("../../../sdk/js/conversation.js").Item} Item */

const SENDER = "user";
const PAGE = 100;
const FRESH_MS = 5_000;

/**
 * @typedef {object} Open
 * @property {string} id               empty where there is no session yet
 * @property {Conversation} conversation
 * @property {{ close(): void } | null} following
 * @property {number} readAt           when its messages were read, in milliseconds
 * @property {string | null} next      where older messages go on
 * @property {"new" | "loading" | "open" | "absent" | "unread" | "gone"} state
 * @property {string} problem          why it is unread
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
});

/** What is open. It is changed in place; `version` counts up with each change. */
let mine = fresh("");
export const version = signal(0);
export const current = () => (version.value, mine);

const changed = () => inFrame(bump);
const bump = () => void (version.value += 1);

/** Open a session. @param {string} id  empty: a conversation that has no session yet */
export async function show(id) {
  if (mine.id === id && mine.state !== "unread" && (mine.state !== "gone" || id)) return;
  await read(id);
}

/** @param {string} id */
async function read(id) {
  mine.following?.close();
  const now = fresh(id);
  mine = now;
  bump();
  if (!id) return;
  try {
    const answer = await api.getSession(id, { limit: PAGE });
    if (mine !== now) return;
    listed([answer.session]);
    now.state = "open";
    take(answer);
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
    if (isOurs && mine === now) read(now.id);
  });
  following.on("session.deleted", () => mine === now && gone());
  following.on("*", (event) => {
    if (now.conversation.apply(event)) changed();
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

function gone() {
  mine.following?.close();
  mine = { ...fresh(mine.id), state: "gone" };
  changed();
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
  conversation.send(key, SENDER, content);
  changed();
  try {
    const answer = await api.say({ message: content, ...(id && { session_id: id }) }, key, sessions.find(id)?.with);
    conversation.sent(key, answer);
    if (mine === now && !id) go(href("chat", [answer.session_id]));
  } catch (error) {
    conversation.failed(key, error instanceof Error ? error.message : String(error));
  }
  changed();
}

/** Take back a message that was not sent. @param {Item} item */
export function discard({ key }) {
  mine.conversation.discard(key);
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

// A session that was not there when it was opened is there now.
onEvents((all) => {
  if (mine.state !== "absent") return;
  const isThere = all.some(({ event_type: type, payload }) => payload?.session_id === mine.id && /^(session|chat\.message)/.test(type));
  if (isThere && sessions.find(mine.id)) void read(mine.id);
});

// What could not be read is read with the next connection.
effect(() => {
  if (connection.value.name === "connected" && mine.state === "unread") void again();
});
