/** @typedef {import("./conversation.js").Item} Item */
/**
 * Follow many topics over one connection. It looks after itself until `close()`.
 *
 * @param {import("./many.js").OpenOptions} [options]
 * @returns {Mesh}
 */
export function open(options?: import("./many.js").OpenOptions): Mesh;
export * from "./mesh.js";
export { Conversation } from "./conversation.js";
/** Many topics on one socket, and what they are about; made by `open`. */
export class Mesh extends Core {
    /**
     * The messages of a session.
     *
     * @param {string} id
     * @param {{ history?: number, sender?: string }} [options]  how many messages to begin with, and as whom to speak
     * @returns {import("./views.js").Chat}
     */
    chat(id: string, options?: {
        history?: number;
        sender?: string;
    }): import("./views.js").Chat;
    /** How far a task has come. @param {string} id @returns {import("./views.js").Task} */
    task(id: string): import("./views.js").Task;
    /** How an agent is, and what it does. @param {string} id @returns {import("./views.js").Agent} */
    agent(id: string): import("./views.js").Agent;
    /**
     * Ask the API.
     *
     * @param {string} path  such as `tasks?limit=10`
     */
    get(path: string): Promise<Response>;
    #private;
}
export type Item = import("./conversation.js").Item;
import { Mesh as Core } from "./many.js";
export { Agent, Chat, Task } from "./views.js";
