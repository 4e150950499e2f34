/** 128 random bits; `crypto.randomUUID` is for secure contexts alone. */
export function randomId(): string;
export class Outbox {
    /**
     * @param {(text: string) => boolean} write  hands a message to the connection; false where there is none
     * @param {number} [most]                    how many may wait
     */
    constructor(write: (text: string) => boolean, most?: number);
    /** How many wait. */
    get size(): number;
    /**
     * @param {string} subject
     * @param {Record<string, any>} payload
     * @param {string} id
     * @returns {Promise<Ack>}
     */
    add(subject: string, payload: Record<string, any>, id: string): Promise<Ack>;
    /**
     * Send what may be sent now. Of each subject one message is under way at a time: what the server puts off must not be
     * overtaken by what follows it.
     *
     * @param {unknown} by  what carries it. Two kinds of connections do not know each other's ids
     */
    flush(by: unknown): void;
    /**
     * Take the server's answer.
     *
     * @param {{ event_type: string, payload?: any }} frame  an `ack`, or an `error` with an id
     * @param {unknown} by
     * @returns {boolean} whether it was for something that waits here
     */
    settle({ event_type: type, payload }: {
        event_type: string;
        payload?: any;
    }, by: unknown): boolean;
    /**
     * The connection was lost: nothing is under way any more.
     *
     * @param {boolean} tooBig  the server closed because of a message's size: the largest must not come again
     */
    lost(tooBig: boolean): void;
    /** Nothing is sent any more. @param {string} why */
    end(why: string): void;
    #private;
}
/**
 * What was sent is stored.
 */
export type Ack = {
    id: string;
    /**
     * the event's position
     */
    cursor: string;
    /**
     * it had been stored before, under the same id
     */
    duplicate: boolean;
};
/**
 * What was sent is not stored, or (`lost`) not known to be. `code` is the server's, or
 *
 * - `full`: too much waits already
 * - `closed`: the connection was closed, or refused for good
 * - `lost`: it was sent, its answer never came, and it is too long ago to send it again: the server no longer knows the id
 */
export type SendError = Error & {
    id: string;
    code: string;
    retry_after_ms?: number;
};
export type Entry = {
    id: string;
    subject: string;
    /**
     * the message as it is sent
     */
    text: string;
    /**
     * what carried it first
     */
    by: unknown;
    /**
     * when it was sent first
     */
    triedAt: number | null;
    /**
     * sent, and not answered yet
     */
    isOut: boolean;
    notBefore: number;
    promise: Promise<Ack>;
    resolve: (ack: Ack) => void;
    reject: (error: Error) => void;
};
