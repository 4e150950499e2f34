/** What a page or a worker is told of its network, and of its own coming and going. */
/**
 * @typedef {object} Told
 * @property {() => void} woke                  the network may be back, or the page awake
 * @property {(reason: string) => void} cut     the network is away
 * @property {() => void} left                  the page is left; it may come back from the browser's cache, long after
 */
export class Surroundings {
    /** @param {Told} told */
    constructor({ woke, cut, left }: Told);
    /** Hear nothing of it any more. */
    end(): void;
    #private;
}
export type Told = {
    /**
     * the network may be back, or the page awake
     */
    woke: () => void;
    /**
     * the network is away
     */
    cut: (reason: string) => void;
    /**
     * the page is left; it may come back from the browser's cache, long after
     */
    left: () => void;
};
