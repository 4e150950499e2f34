/**
 * Compare two cursors: below 0 where `a` is older, 0 where they are the same, above 0 where `a` is newer; NaN where
 * they cannot be compared, being of different streams or epochs.
 *
 * @param {string | undefined} a
 * @param {string | undefined} b
 * @returns {number}
 */
export function compareCursors(a: string | undefined, b: string | undefined): number;
/** Where an application stands in each stream, and what the next frame means there. No I/O. */
export class Positions {
    /** @param {string | null} [since] such as `Rk3f-120.Sp9a-88`; what is no cursor in it is left out */
    constructor(since?: string | null);
    /** The positions as `since` takes them; empty where nothing is known yet. */
    get since(): string;
    /**
     * A socket was greeted with these positions, by stream letter.
     *
     * @param {Record<string, string>} cursors
     */
    start(cursors: Record<string, string>): void;
    /**
     * The server owes nothing before `to` any more.
     *
     * @param {string | undefined} to
     */
    skip(to: string | undefined): void;
    /**
     * Judge a frame, and stand on it unless it is `known` or `broken`.
     *
     * - `new`: hand it on
     * - `known`: was handed on before
     * - `broken`: something before it did not arrive; resume from `since`
     * - `lost`: resuming did not bring what is missing either; hand it on and tell of the gap
     *
     * @param {{ cursor?: string, prev?: string }} frame
     * @returns {"new" | "known" | "broken" | "lost"}
     */
    take({ cursor, prev }: {
        cursor?: string;
        prev?: string;
    }): "new" | "known" | "broken" | "lost";
    #private;
}
