export class Conversation {
    /**
     * @param {string} id
     * @param {(a: string, b: string) => number} [compare]  two cursors, as `compareCursors` does
     */
    constructor(id: string, compare?: (a: string, b: string) => number);
    id: string;
    /** @returns {Item[]} in the order they are to be read */
    get items(): Item[];
    /** Who is typing. @param {number} [now] milliseconds */
    typing(now?: number): string[];
    /**
     * Take an event, of the API's or live.
     *
     * @param {import("./topic.js").MeshEvent} event
     * @returns {boolean} whether something changed
     */
    apply({ event_type: type, payload, cursor, id, timestamp }: import("./topic.js").MeshEvent): boolean;
    /**
     * Show one's own message before the API has answered.
     *
     * @param {string} key      unique; also makes a retry safe
     * @param {string} sender
     * @param {string} content
     */
    send(key: string, sender: string, content: string): void;
    /**
     * The API stored it.
     *
     * @param {string} key
     * @param {{ message_id: string, cursor: string }} answer
     */
    sent(key: string, { message_id: messageId, cursor }: {
        message_id: string;
        cursor: string;
    }): void;
    /**
     * The API did not take it.
     *
     * @param {string} key
     * @param {string} reason
     */
    failed(key: string, reason: string): void;
    /** Take back a message that was not sent. @param {string} key */
    discard(key: string): void;
    #private;
}
export type Item = {
    /**
     * the same for as long as it is shown
     */
    key: string;
    /**
     * empty while the API has not answered
     */
    messageId: string;
    cursor: string;
    sender: string;
    content: string;
    /**
     * milliseconds
     */
    at: number;
    status: "stored" | "streaming" | "sending" | "failed";
    /**
     * why it failed, or why it is incomplete
     */
    reason: string;
    /**
     * it was stored before its writer came to an end
     */
    incomplete: boolean;
};
