/** Listeners by type. No I/O. */
/** @typedef {import("./event_types.js").Heard} Heard */
/** @typedef {import("./topic.js").MeshEvent} MeshEvent */
export class Emitter {
    /**
     * @template {keyof Heard | (string & {})} T
     * @param {T} type
     * @param {(event: T extends keyof Heard ? Heard[T] : MeshEvent) => void} listener
     * @returns {() => void} takes the listener away again
     */
    on<T extends keyof Heard | (string & {})>(type: T, listener: (event: T extends keyof Heard ? Heard[T] : MeshEvent) => void): () => void;
    /**
     * @protected
     * @param {string} type
     * @param {unknown} event
     */
    protected _emit(type: string, event: unknown): void;
    /** @protected */
    protected _deafen(): void;
    #private;
}
export type Heard = import("./event_types.js").Heard;
export type MeshEvent = import("./topic.js").MeshEvent;
