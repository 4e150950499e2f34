/**
 * Each client has positions of its own, as it would have on a socket of its own. Where one begins further back than the
 * others the topic is asked for again from there, and what the others were shown already is not shown to them again.
 */
export class Hub {
    /**
     * @param {(protocols: string[]) => Socket} open
     * @param {(clients: string[], message: Message) => void} tell
     */
    constructor(open: (protocols: string[]) => Socket, tell: (clients: string[], message: Message) => void);
    /** Somebody comes. @param {string} client @param {string[]} protocols as for a socket */
    hello(client: string, protocols: string[]): void;
    /** Somebody says something. @param {string} client @param {string} text */
    take(client: string, text: string): void;
    /** Somebody goes. @param {string} client */
    bye(client: string): void;
    /** It is over; who is still there comes back at once, to another one. */
    close(): void;
    #private;
}
export type Socket = import("./line.js").Socket;
/**
 * What is told to some of those who speak over a hub: a frame as it came, or that it is over.
 */
export type Message = {
    text: string;
} | {
    code: number;
    reason: string;
};
export type Shared = import("./holds.js").Shared;
