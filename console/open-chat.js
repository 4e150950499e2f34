/** The session that is open in the middle: read from the API, followed live from there, and written to. */

import { compareCursors, connect } from "../sdk/mesh.js";
import * as api from "./api.js";
import { ChatView } from "./chat-view.js";
import { Composer } from "./composer.js";
import { Conversation } from "../sdk/conversation.js";
import { h } from "./dom.js";

const SENDER = "user";
const PAGE = 100;
const FRESH_MS = 5_000;

/**
 * @typedef {object} Open
 * @property {string} id               empty where there is no session yet
 * @property {Conversation} conversation
 * @property {{ close(): void } | null} connection
 * @property {number} readAt           when its messages were read, in milliseconds
 * @property {string | null} next      where older messages go on
 * @property {"new" | "loading" | "open" | "absent" | "unread" | "gone"} state
 */

export class OpenChat {
  /** @type {Open} */
  #open = { id: "", conversation: new Conversation("", compareCursors), connection: null, readAt: 0, next: null, state: "gone" };
  #view = new ChatView({
    onRetry: ({ key, content }) => this.#send(this.#open, key, content),
    onDiscard: (item) => this.#discard(item),
    onStop: (item) => this.#stop(item),
    onEarlier: () => this.#loadEarlier(),
  });
  composer = new Composer((text) => this.#send(this.#open, crypto.randomUUID(), text));

  /**
   * @param {URL} base  of the mesh
   * @param {import("./sessions.js").SessionList} sessions
   * @param {import("./status-view.js").StatusView} status
   * @param {{ onSession: (session: any) => void, onBegun: (id: string) => void }} actions  a session was read; a message
   *   without one has begun one
   */
  constructor(base, sessions, status, actions) {
    this.base = base;
    this.sessions = sessions;
    this.status = status;
    this.actions = actions;
  }

  get id() {
    return this.#open.id;
  }

  /** Whether there was no such session when it was opened. */
  get isAbsent() {
    return this.#open.state === "absent";
  }

  /** Whether its messages could not be read. */
  get isUnread() {
    return this.#open.state === "unread";
  }

  /** @param {string} id  empty: a conversation that has no session yet */
  async show(id) {
    this.#open.connection?.close();
    /** @type {Open} */
    const mine = { id, conversation: new Conversation(id, compareCursors), connection: null, readAt: Date.now(), next: null, state: "loading" };
    this.#open = mine;
    this.#view.open(mine.conversation);
    this.titleChanged();
    this.composer.open(id);
    this.composer.enable(true);
    if (!id) {
      mine.state = "new";
      this.status.show("chat", null);
      return this.#view.note(
        note("What should the agents work on?", "Write a message to begin a session, or choose one from the list. Every window that follows it sees each answer as it comes."),
      );
    }
    this.#view.loading();
    try {
      const answer = await api.getSession(id, { limit: PAGE });
      if (this.#open !== mine) return;
      this.actions.onSession(answer.session);
      mine.state = "open";
      this.#take(answer);
      this.#follow(mine, answer.since ?? answer.cursors);
    } catch (error) {
      if (this.#open === mine) this.#missing(mine, /** @type {api.ApiError} */ (error));
    }
  }

  /** The list knows another title. */
  titleChanged() {
    const { id } = this.#open;
    const session = this.sessions.find(id);
    this.#view.head(id ? (session?.title ?? id) : "New conversation", id);
    this.composer.address(session?.with?.id ?? "Daena");
  }

  /**
   * @param {Open} mine
   * @param {api.ApiError} error
   */
  #missing(mine, { status, message }) {
    if (status === 410) return this.#gone();
    if (status === 404) {
      mine.state = "absent";
      this.#view.note(note("No such session yet", "It opens by itself with its first message. You can write it here."));
      return this.#follow(mine, undefined);
    }
    mine.state = "unread";
    const again = h("button", { type: "button", class: "button", onclick: () => this.show(mine.id) }, "Try again");
    this.#view.note(note("The messages could not be loaded", message, again));
  }

  /**
   * @param {Open} mine
   * @param {string | undefined} since
   */
  #follow(mine, since) {
    const connection = connect(`chat_${mine.id}`, { base: this.base, since });
    mine.connection = connection;
    connection.on("state", (state) => this.status.show("chat", state));
    connection.on("gap", ({ to }) => {
      // What is missing comes with the messages read anew. They hold no signals, and just read they miss nothing.
      const isOurs = !String(to ?? "").startsWith("S") && Date.now() - mine.readAt > FRESH_MS;
      if (isOurs) this.show(mine.id);
    });
    connection.on("session.deleted", () => this.#gone());
    connection.on("*", (event) => {
      if (mine.conversation.apply(event)) this.#settled();
    });
  }

  /** A page of messages was read. @param {any} answer */
  #take(answer) {
    const mine = this.#open;
    for (const event of answer.messages ?? []) mine.conversation.apply(event);
    mine.next = answer.next ?? null;
    this.#view.earlier(mine.next !== null);
    this.#settled();
  }

  async #loadEarlier() {
    const mine = this.#open;
    if (mine.next === null) return;
    try {
      const answer = await api.getSession(mine.id, { limit: PAGE, before: mine.next });
      if (this.#open === mine) this.#take(answer);
    } catch {
      // the button stays, to be pressed again
    }
  }

  /** Draw what changed, with words where there is no message at all. */
  #settled() {
    const { conversation, state } = this.#open;
    const empty = conversation.items.length === 0;
    if (!empty) this.#view.note(null);
    else if (state === "open") {
      this.#view.note(note("Nothing said yet", "Write the first message. Everyone who follows this session sees it at once."));
    }
    this.#view.changed();
  }

  #gone() {
    this.#open.connection?.close();
    this.status.show("chat", null);
    this.#open = { ...this.#open, conversation: new Conversation(this.id, compareCursors), state: "gone" };
    this.#view.open(this.#open.conversation);
    this.#view.note(note("This session was deleted", "Its messages are gone for good.", h("a", { class: "button", href: "#/" }, "New conversation")));
    this.composer.enable(false);
  }

  /**
   * @param {Open} mine
   * @param {string} key      the same for a retry, so that nothing is said twice
   * @param {string} content
   */
  async #send(mine, key, content) {
    const { conversation, id } = mine;
    conversation.send(key, SENDER, content);
    this.#settled();
    try {
      const answer = await api.say({ message: content, ...(id && { session_id: id }) }, key, this.sessions.find(id)?.with);
      conversation.sent(key, answer);
      if (this.#open === mine && !id) this.actions.onBegun(answer.session_id);
    } catch (error) {
      conversation.failed(key, error instanceof Error ? error.message : String(error));
    }
    if (this.#open === mine) this.#settled();
  }

  /**
   * Have the writer of a message stop; what there is by then comes as the message.
   *
   * @param {import("../sdk/conversation.js").Item} item
   * @returns {Promise<boolean>} whether it was told
   */
  async #stop({ messageId }) {
    try {
      await api.stop(this.id, messageId, crypto.randomUUID());
      return true;
    } catch (error) {
      return /** @type {api.ApiError} */ (error).status === 409; // it has just ended by itself
    }
  }

  /** @param {import("../sdk/conversation.js").Item} item */
  #discard({ key, content }) {
    this.#open.conversation.discard(key);
    this.composer.giveBack(content);
    this.#settled();
  }
}

/**
 * Words that stand where there are no messages.
 *
 * @param {string} title
 * @param {string} text
 * @param {...Node} more
 */
function note(title, text, ...more) {
  return h("div", {}, h("h2", {}, title), h("p", {}, text), ...more);
}
