/**
 * The whole client: what `mesh.js` has, and chats, tasks and agents as they are now.
 *
 *     import { open } from "/sdk/index.js";
 *     const mesh = open();
 *     const chat = mesh.chat("s1");
 *     chat.on("change", () => render(chat.items));
 *     await chat.send("Hello!");
 *
 * @module
 */

import { socketUrl } from "./address.js";
import { Mesh as Core } from "./many.js";
import { Agent, Chat, Task } from "./views.js";

export * from "./mesh.js";
export { Conversation } from "./conversation.js";
export { Agent, Chat, Task } from "./views.js";

/** @typedef {import("./conversation.js").Item} Item */

/**
 * Follow many topics over one connection. It looks after itself until `close()`.
 *
 * @param {import("./many.js").OpenOptions} [options]
 * @returns {Mesh}
 */
export function open(options = {}) {
  return new Mesh(options);
}

/** Many topics on one socket, and what they are about; made by `open`. */
export class Mesh extends Core {
  #options;

  /** @param {import("./many.js").OpenOptions} [options] */
  constructor(options = {}) {
    super(options);
    this.#options = options;
  }

  /**
   * The messages of a session.
   *
   * @param {string} id
   * @param {{ history?: number, sender?: string }} [options]  how many messages to begin with, and as whom to speak
   * @returns {import("./views.js").Chat}
   */
  chat(id, options) {
    return new Chat(this, id, options);
  }

  /** How far a task has come. @param {string} id @returns {import("./views.js").Task} */
  task(id) {
    return new Task(this, id);
  }

  /** How an agent is, and what it does. @param {string} id @returns {import("./views.js").Agent} */
  agent(id) {
    return new Agent(this, id);
  }

  /**
   * Ask the API.
   *
   * @param {string} path  such as `tasks?limit=10`
   */
  async get(path) {
    const url = new URL(`../api/v1/${path}`, `${socketUrl("", this.#options.base).replace(/^ws/, "http")}/`);
    const token = await this.#options.getToken?.();
    const headers = { Accept: "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
    return await fetch(url, { headers, cache: "no-store", signal: AbortSignal.timeout(15_000) });
  }
}
