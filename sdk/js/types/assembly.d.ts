/** A message that is being written, put together from its pieces (`chat.delta`). No page, no network. */
export class Assembly {
    /**
     * Take a piece. The first run that is seen counts, until another one begins, with index 0.
     *
     * @param {any} payload  of a `chat.delta`
     * @returns {boolean} false for one of an older run, or one that was there before
     */
    take({ run, index, text }: any): boolean;
    /** The pieces that are there, in order. */
    get text(): string;
    #private;
}
