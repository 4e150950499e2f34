export class Pace {
    /** @param {(text: string) => void} send */
    constructor(send: (text: string) => void);
    /** @param {string} text */
    write(text: string): void;
    /** Another connection: nothing waits for it yet. */
    reset(): void;
    #private;
}
