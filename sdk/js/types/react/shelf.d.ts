/**
 * The newer of two snapshots, with all that is the same taken over from the older.
 *
 * @template {Record<string, any>} S
 * @param {S | null} older
 * @param {S} newer
 * @returns {S}
 */
export function settle<S extends Record<string, any>>(older: S | null, newer: S): S;
/** A mesh, and all that is shown of it; each thing once, however many components show it. */
export class Shelf {
    /**
     * @param {OpenOptions} options
     * @param {Mesh} [own]  a mesh that is somebody's own, and is not closed here
     */
    constructor(options: OpenOptions, own?: Mesh);
    /** The newest there are: `getToken` may be another function with each rendering. @type {OpenOptions} */ options: OpenOptions;
    /** What is held under a key; nothing before the first component has subscribed. @param {string} key */
    held(key: string): AnyHold | undefined;
    /** How many things are held. */
    get size(): number;
    /** @param {() => void} listener @returns {() => void} */
    subscribeToMesh(listener: () => void): () => void;
    /**
     * @param {string} key
     * @param {Kind<any, any>} kind
     * @param {() => void} listener
     * @returns {() => void}
     */
    subscribe(key: string, kind: Kind<any, any>, listener: () => void): () => void;
    #private;
}
export type OpenOptions = import("../index.js").OpenOptions;
export type Mesh = import("../index.js").Mesh;
/**
 * What is followed: a mesh, a chat, a task, an agent.
 */
export type Thing = {
    on: (type: string, listener: (event: any) => void) => () => void;
    close: () => void;
};
/**
 * How to follow something, and what of it is shown.
 */
export type Kind<T extends Thing, S extends Record<string, any>> = {
    open: (mesh: Mesh) => T;
    look: (thing: T, error: object | null) => S;
};
export type AnyHold = Hold<any, any>;
/**
 * One thing: there from the first subscriber on, and until a moment after the last.
 *
 * @template {Thing} T
 * @template {Record<string, any>} S
 */
declare class Hold<T extends Thing, S extends Record<string, any>> {
    /**
     * @param {T} thing
     * @param {Kind<T, S>} kind
     * @param {() => void} ended
     */
    constructor(thing: T, kind: Kind<T, S>, ended: () => void);
    /** @type {T} */ thing: T;
    /** @param {() => void} listener @returns {() => void} */
    subscribe(listener: () => void): () => void;
    /** The same object until something is different. */
    get snapshot(): S;
    #private;
}
export {};
