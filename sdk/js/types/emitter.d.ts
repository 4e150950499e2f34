/** Listeners by type. No I/O. */
export class Emitter {
    /**
     * @param {string} type
     * @param {(event: any) => void} listener
     * @returns {() => void} takes the listener away again
     */
    on(type: string, listener: (event: any) => void): () => void;
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
