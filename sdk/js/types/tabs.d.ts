/** @typedef {import("./hub.js").Message} Message */
/** @typedef {import("./line.js").SocketClass} SocketClass */
export class TabSocket {
    /** The class of the real socket. @returns {SocketClass} */
    static get Socket(): SocketClass;
    /**
     * The same over another kind of socket, such as `SseSocket`.
     *
     * @param {SocketClass} Socket
     * @returns {typeof TabSocket}
     */
    static over(Socket: SocketClass): typeof TabSocket;
    /**
     * @param {string} url  as of a WebSocket
     * @param {string[]} [protocols]
     */
    constructor(url: string, protocols?: string[]);
    readyState: number;
    /** @type {((event: { data: string }) => void) | null} */ onmessage: ((event: {
        data: string;
    }) => void) | null;
    /** @type {((event: { code: number, reason: string }) => void) | null} */ onclose: ((event: {
        code: number;
        reason: string;
    }) => void) | null;
    /** @param {string} text */
    send(text: string): void;
    /** @param {number} [_code] */
    close(_code?: number): void;
    #private;
}
export type Message = import("./hub.js").Message;
export type SocketClass = import("./line.js").SocketClass;
