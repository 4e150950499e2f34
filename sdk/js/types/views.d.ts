/** The messages of a session in one list: stored, being written, and one's own on the way. */
export class Chat extends View {
    /**
     * @param {Source} source
     * @param {string} id
     * @param {{ history?: number, sender?: string }} [options]
     */
    constructor(source: Source, id: string, { history, sender }?: {
        history?: number;
        sender?: string;
    });
    /** @returns {Item[]} in the order they are to be read */
    get items(): Item[];
    /** Who is typing now. @param {number} [now] milliseconds */
    typing(now?: number): string[];
    /**
     * Say something. It shows at once as `sending`, then as `stored`, or as `failed` with a reason.
     *
     * @param {string} content
     * @param {{ sender?: string, metadata?: Record<string, any>, id?: string }} [options]  with the `key` of a failed item as
     *   `id` that one is sent again
     */
    send(content: string, { sender, metadata, id }?: {
        sender?: string;
        metadata?: Record<string, any>;
        id?: string;
    }): Promise<import("./outbox.js").Ack>;
    /** Take back a message that failed. @param {string} key */
    discard(key: string): void;
    #private;
}
/** How far a task has come. */
export class Task extends View {
    /** `running`, `completed`, `failed`, `cancelled`, or what else was told; empty while nothing is known. */
    status: string;
    title: string;
    /** Who is at it. */
    agent: string;
    /** As it was told. @type {unknown} */
    progress: unknown;
    reason: string;
    /** Whether it goes on. */
    get isOpen(): boolean;
    #private;
}
/** How an agent is, and what it does. */
export class Agent extends View {
    /** `online`, `busy`, `offline`, or empty while nothing is known. */
    status: string;
    reason: string;
    /** What it said last that it does, as it was told. @type {unknown} */
    activity: unknown;
    /** The ids of what it works on. */
    get tasks(): string[];
    #private;
}
export type Item = import("./conversation.js").Item;
export type MeshEvent = import("./topic.js").MeshEvent;
export type ConnectionState = import("./line.js").ConnectionState;
/**
 * Where views get what they show.
 */
export type Source = {
    follow: (name: string, options?: import("./topic.js").FollowOptions) => import("./shared.js").Following;
    follows: (name: string) => boolean;
    send: import("./many.js").Mesh["send"];
    /**
     * from the API
     */
    get: (path: string) => Promise<Response>;
};
/**
 * What all views have in common. `on` takes `change`, `state` ({@link ConnectionState}), `gap`, `recovered` and `error`.
 */
declare class View extends Emitter {
    /** @param {Source} source @param {string} id */
    constructor(source: Source, id: string);
    /** @protected @type {import("./shared.js").Following | null} */ protected _following: import("./shared.js").Following | null;
    /** @protected */ protected _isClosed: boolean;
    /** @protected */ protected _source: Source;
    id: string;
    /** How it is followed. @returns {ConnectionState} */
    get state(): ConnectionState;
    /** Keep it no longer. */
    close(): void;
    /**
     * @protected
     * @param {string} topic
     * @param {import("./topic.js").FollowOptions} options
     * @param {(event: MeshEvent) => void} take
     */
    protected _follow(topic: string, options: import("./topic.js").FollowOptions, take: (event: MeshEvent) => void): void;
    /**
     * Ask the API, a few times where it does not answer.
     *
     * @protected
     * @param {string} path
     * @returns {Promise<any>} null where there is no such thing, or no API that answers
     */
    protected _read(path: string): Promise<any>;
    /**
     * Read what is, now and where events cannot tell any more.
     *
     * @protected
     * @param {() => Promise<void>} load
     */
    protected _keep(load: () => Promise<void>): void;
    /** @protected */
    protected _changed(): void;
}
import { Emitter } from "./emitter.js";
export {};
