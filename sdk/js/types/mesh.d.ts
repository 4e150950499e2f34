/** @typedef {import("./topic.js").MeshEvent} MeshEvent */
/** @typedef {import("./topic.js").FollowOptions} FollowOptions */
/** @typedef {import("./topic.js").Storing} Storing */
/** @typedef {import("./line.js").ConnectionState} ConnectionState */
/** @typedef {import("./line.js").Socket} Socket */
/** @typedef {import("./many.js").OpenOptions} OpenOptions */
/** @typedef {import("./outbox.js").Ack} Ack */
/** @typedef {import("./outbox.js").SendError} SendError */
/** @typedef {FollowOptions & OpenOptions} ConnectOptions */
/**
 * Follow a topic over a connection of its own. It looks after itself until `close()`.
 *
 * @param {string} target  a topic (`events`, `council`, `chat_<session>`, `agent_<id>`), a path (`/ws/events`) or a URL
 * @param {ConnectOptions} [options]
 * @returns {Connection}
 */
export function connect(target: string, options?: ConnectOptions): Connection;
/**
 * Follow many topics over one connection. It looks after itself until `close()`.
 *
 * @param {OpenOptions} [options]
 * @returns {Mesh}
 */
export function open(options?: OpenOptions): Mesh;
export { socketUrl } from "./address.js";
export { Mesh } from "./many.js";
export { Following } from "./shared.js";
/** One followed topic, with a socket of its own; made by `connect`. */
export class Connection extends Lined {
    /**
     * @param {string} target
     * @param {ConnectOptions} options
     */
    constructor(target: string, options: ConnectOptions);
    /** The positions reached, for a later `connect(…, { since })`. */
    get since(): string;
    #private;
}
export type MeshEvent = import("./topic.js").MeshEvent;
export type FollowOptions = import("./topic.js").FollowOptions;
export type Storing = import("./topic.js").Storing;
export type ConnectionState = import("./line.js").ConnectionState;
export type Socket = import("./line.js").Socket;
export type OpenOptions = import("./many.js").OpenOptions;
export type Ack = import("./outbox.js").Ack;
export type SendError = import("./outbox.js").SendError;
export type ConnectOptions = FollowOptions & OpenOptions;
import { Mesh } from "./many.js";
import { Lined } from "./lined.js";
export { CLOSE_CODES, backoff } from "./closing.js";
export { Positions, compareCursors } from "./positions.js";
