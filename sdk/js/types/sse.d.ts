/** Cuts a stream into events. HTML standard, section 9.2.6. */
export class Parser {
    /** Of the newest event that had one. */ id: string;
    /**
     * @param {string} text
     * @returns {Array<{ data?: string, retry?: number }>}  an event, a time to wait before coming back, or a comment
     */
    feed(text: string): Array<{
        data?: string;
        retry?: number;
    }>;
    #private;
}
/** One topic's response. @typedef {{ url: string, stop: AbortController, parser: Parser }} Stream */
export class SseSocket {
    /**
     * @param {string} url  as of a WebSocket
     * @param {string[]} [protocols]  one of which may be `bearer.` and a token
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
    /** @param {string} text  a message as it goes over a WebSocket */
    send(text: string): void;
    /** @param {number} [_code] */
    close(_code?: number): void;
    #private;
}
/**
 * One topic's response.
 */
export type Stream = {
    url: string;
    stop: AbortController;
    parser: Parser;
};
