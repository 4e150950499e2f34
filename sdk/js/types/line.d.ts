export class Line {
    /**
     * @param {Owner} owner
     * @param {LineOptions} options
     */
    constructor(owner: Owner, options: LineOptions);
    /** @type {ConnectionState} */ state: ConnectionState;
    start(): void;
    /** How many messages wait to be stored. */
    get waiting(): number;
    /**
     * @param {string} subject
     * @param {Record<string, any>} payload
     * @param {string} id
     */
    send(subject: string, payload: Record<string, any>, id: string): Promise<import("./outbox.js").Ack>;
    /**
     * Write a message, no faster than the server takes them.
     *
     * @param {string} text
     * @returns {boolean} false where there is no connection
     */
    write(text: string): boolean;
    /** End it. */
    close(): void;
    /** Give the socket up, without waiting for its close. @param {string} reason */
    drop(reason: string): void;
    /**
     * @param {ConnectionState["state"]} state
     * @param {string} [reason]
     * @param {number | null} [retryInMs]
     * @param {boolean} [degraded]
     */
    enter(state: ConnectionState["state"], reason?: string, retryInMs?: number | null, degraded?: boolean): void;
    #private;
}
/**
 * How the connection stands.
 *
 * - `connecting`: not connected yet; trying
 * - `connected`: live. `degraded` says that the server itself is cut off from the log for now
 * - `recovering`: was connected, is trying to resume; nothing is lost by it
 * - `disconnected`: closed by the application
 * - `failed`: refused for good; trying again would not help
 */
export type ConnectionState = {
    state: "connecting" | "connected" | "recovering" | "disconnected" | "failed";
    /**
     * in words, for a log or a tooltip; empty where there is none
     */
    reason: string;
    /**
     * the wait before the next attempt; null where none is being waited for
     */
    retryInMs: number | null;
    degraded: boolean;
};
/**
 * What carries frames: a `WebSocket`, or what behaves like one.
 */
export type Socket = {
    readyState: number;
    onmessage: any;
    onclose: any;
    send: (text: string) => void;
    close: (code?: number) => void;
};
export type SocketClass = new (url: string, protocols: string[]) => Socket;
export type LineOptions = {
    /**
     * asked before each attempt, and before the token expires
     */
    getToken?: (() => string | null | undefined | Promise<string | null | undefined>) | undefined;
    /**
     * another implementation than the global one
     */
    WebSocket?: SocketClass | undefined;
    /**
     * whether to go on by server-sent events where WebSockets are blocked; by default true
     */
    fallback?: boolean | undefined;
    /**
     * how many messages may wait to be stored; by default 1000
     */
    queue?: number | undefined;
};
export type Owner = {
    /**
     * of the next attempt
     */
    address: () => string;
    entered: (state: ConnectionState) => void;
    greeted: (payload: Record<string, any>) => void;
    /**
     * a frame that is not the line's own
     */
    took: (frame: any) => void;
    /**
     * what the server did not understand
     */
    failed: (what: object) => void;
    /**
     * the page is left, or the line closed: positions are to be kept
     */
    left: () => void;
};
