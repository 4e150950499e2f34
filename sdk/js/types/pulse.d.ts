export class Pulse {
    /**
     * @param {(text: string) => void} send
     * @param {() => void} silent  it does not answer
     */
    constructor(send: (text: string) => void, silent: () => void);
    /** A connection begins. */
    start(): void;
    /** It has ended. */
    stop(): void;
    /** Something came. */
    heard(): void;
    /** See whether it is still there, unless it was heard just now. */
    probe(): void;
    #private;
}
