/**
 * The address of a topic's socket, and of the one for many topics.
 *
 * @param {string} target  a topic (`events`, `council`, `chat_<session>`, `agent_<id>`), a path (`/ws/events`) or a URL;
 *   empty for many topics
 * @param {string | URL | undefined} base
 * @param {Record<string, string | number | undefined>} [query]  what is undefined or empty is left out
 * @returns {string}
 */
export function socketUrl(target: string, base: string | URL | undefined, query?: Record<string, string | number | undefined>): string;
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
/** Many topics on one socket, each followed once however many ask for it; made by `open`. */
export class Mesh extends Lined {
    /** @param {OpenOptions} [options] */
    constructor(options?: OpenOptions);
    /**
     * Follow a topic, along with all others who do.
     *
     * The first to follow says from where on. Who comes later hears what comes from then on; where they ask for types that
     * nobody has asked for yet, some of what was before may come too.
     *
     * @param {string} name  `events`, `council`, `chat_<session>` or `agent_<id>`
     * @param {FollowOptions} [options]
     * @returns {Following}
     */
    follow(name: string, options?: FollowOptions): Following;
    /** Whether a topic is followed by anybody here. @param {string} name */
    follows(name: string): boolean;
    #private;
}
/** One's own hold on a topic that is followed; made by `Mesh.follow`. `on` takes what that of `Connection` does. */
export class Following extends Emitter {
    /**
     * @param {Shared} shared
     * @param {string[] | undefined} types
     * @param {() => void} left
     */
    constructor(shared: Shared, types: string[] | undefined, left: () => void);
    /** How it stands now. */
    get state(): import("./line.js").ConnectionState;
    /** The positions reached. */
    get since(): string;
    /** @param {string} type @param {any} event */
    tell(type: string, event: any): void;
    /** Follow it no longer. Who else follows it goes on. */
    close(): void;
    #private;
}
export type MeshEvent = import("./topic.js").MeshEvent;
export type Storing = import("./topic.js").Storing;
export type ConnectionState = import("./line.js").ConnectionState;
export type Socket = import("./line.js").Socket;
export type Ack = import("./outbox.js").Ack;
export type SendError = import("./outbox.js").SendError;
export type FollowOptions = {
    /**
     * positions to resume from, such as `Rk3f-120.Sp9a-88`
     */
    since?: string | undefined;
    /**
     * without positions: the newest n events first
     */
    history?: number | undefined;
    /**
     * only these event types
     */
    types?: string[] | undefined;
    /**
     * keeps positions over a reload, e.g. `sessionStorage`
     */
    storage?: import("./topic.js").Storing | null | undefined;
};
export type MeshOptions = {
    /**
     * where topics and paths are resolved against; by default the page's origin
     */
    base?: string | URL | undefined;
};
export type ConnectOptions = FollowOptions & MeshOptions & import("./line.js").LineOptions;
export type OpenOptions = MeshOptions & import("./line.js").LineOptions;
/**
 * What a connection and a mesh have in common.
 *
 * `on` takes an event type (`chat.message`), `*` for every event of the mesh, or one of the connection's own: `state`
 * ({@link ConnectionState}), `recovered` and `gap` (their payloads), `error` (a message of the server's).
 */
declare class Lined extends Emitter {
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
import { Emitter } from "./emitter.js";
/** A topic of a {@link Mesh}, and all who follow it. */
declare class Shared {
    /**
     * @param {string} path
     * @param {FollowOptions} options
     */
    constructor(path: string, options: FollowOptions);
    /** @type {ConnectionState} */ state: ConnectionState;
    topic: Topic;
    types: string[] | undefined;
    history: number | undefined;
    /**
     * Have it carry these types too.
     *
     * @param {string[]} [types]  by default all
     * @returns {boolean} whether that is more than before
     */
    widen(types?: string[]): boolean;
    get isFollowed(): boolean;
    wasConnected: () => boolean;
    /** @param {ConnectionState} state */
    enter: (state: ConnectionState) => void;
    /** @param {Following} following */
    join(following: Following): void;
    /** @param {Following} following */
    leave(following: Following): void;
    #private;
}
import { Line } from "./line.js";
import { Topic } from "./topic.js";
export { CLOSE_CODES, backoff } from "./line.js";
export { Positions, compareCursors } from "./positions.js";
