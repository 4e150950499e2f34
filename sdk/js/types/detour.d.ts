export class Detour {
    /** @type {import("./line.js").SocketClass | undefined} what to go by, once WebSockets are known to be blocked */ Socket: import("./line.js").SocketClass | undefined;
    /** A WebSocket came through. */
    clear(): void;
    /**
     * A WebSocket was never greeted. Where plain HTTP comes through at the same time, WebSockets are blocked.
     *
     * @param {string} url
     */
    suspect(url: string): Promise<void>;
    #private;
}
