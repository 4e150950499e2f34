export class Topic {
    /**
     * @param {(type: string, event: any) => void} emit
     * @param {string} path                            such as `/ws/chat/s1`
     * @param {{ since?: string, storage?: Storing | null }} options
     */
    constructor(emit: (type: string, event: any) => void, path: string, { since, storage }: {
        since?: string;
        storage?: Storing | null;
    });
    /** The positions reached. */
    get since(): string;
    /** It is about to be asked for. @returns {string} from where on */
    begin(): string;
    /**
     * Take the greeting, and later ones: who resumes is greeted before what was missed and after it; later ones tell of the
     * server's state.
     *
     * @param {Record<string, any>} payload
     * @returns {{ arrived: boolean, degraded: boolean, told: () => void }}  `told` is to be called once the state is known
     */
    greeted(payload: Record<string, any>): {
        arrived: boolean;
        degraded: boolean;
        told: () => void;
    };
    /**
     * Take a frame that is a gap or an event.
     *
     * @param {any} frame
     * @returns {boolean} false where something did not arrive: it is to be resumed from `since`
     */
    take(frame: any): boolean;
    save(): void;
    #private;
}
/**
 * One event as the server sends it. `prev` is on live frames only; notices have no `cursor`.
 */
export type MeshEvent = {
    /**
     * such as `chat.message`
     */
    event_type: string;
    payload: Record<string, any>;
    /**
     * of the publisher's
     */
    id?: string | undefined;
    /**
     * RFC 3339, UTC
     */
    timestamp?: string | undefined;
    /**
     * such as `chat.s1.message`
     */
    subject?: string | undefined;
    /**
     * what the socket follows, such as `chat_s1`
     */
    topic?: string | undefined;
    /**
     * the event's position, such as `Rk3f-120`
     */
    cursor?: string | undefined;
    /**
     * the cursor before it in the same stream and topic
     */
    prev?: string | undefined;
};
export type Storing = Pick<Storage, "getItem" | "setItem">;
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
    storage?: Storing | null | undefined;
};
