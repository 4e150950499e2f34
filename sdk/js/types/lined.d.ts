/** @typedef {import("./line.js").ConnectionState} ConnectionState */
/** @typedef {import("./outbox.js").Ack} Ack */
/** @typedef {import("./outbox.js").SendError} SendError */
/**
 * What a connection and a mesh have in common.
 *
 * `on` takes an event type (`chat.message`), `*` for every event of the mesh, or one of the connection's own: `state`
 * ({@link ConnectionState}), `recovered` and `gap` (their payloads), `error` (a message of the server's).
 */
export class Lined extends Emitter {
    /**
     * @param {import("./line.js").LineOptions} options
     * @param {Omit<import("./line.js").Owner, "entered" | "failed"> & Partial<import("./line.js").Owner>} owner
     */
    constructor(options: import("./line.js").LineOptions, owner: Omit<import("./line.js").Owner, "entered" | "failed"> & Partial<import("./line.js").Owner>);
    /** @protected @type {Line} */ protected _line: Line;
    /** How the connection stands now. */
    get state(): import("./line.js").ConnectionState;
    /** How many messages wait to be stored. */
    get waiting(): number;
    /**
     * Send an event, such as `send("chat.s1.message", { sender: "ada", content: "Hello!" })`; resolves once it is stored.
     *
     * Without a connection it waits for one. After a loss it is sent again under the same id, and stored once. What is
     * refused rejects with a {@link SendError}.
     *
     * @param {string} subject
     * @param {Record<string, any>} payload
     * @param {{ id?: string }} [options]  by default a random id
     * @returns {Promise<Ack>}
     */
    send(subject: string, payload: Record<string, any>, { id }?: {
        id?: string;
    }): Promise<Ack>;
    /** End it. Nothing is heard afterwards, and what still waits is not sent. */
    close(): void;
}
export type ConnectionState = import("./line.js").ConnectionState;
export type Ack = import("./outbox.js").Ack;
export type SendError = import("./outbox.js").SendError;
import { Emitter } from "./emitter.js";
import { Line } from "./line.js";
