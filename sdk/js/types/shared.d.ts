/** @typedef {import("./line.js").ConnectionState} ConnectionState */
/** @typedef {import("./topic.js").FollowOptions} FollowOptions */
/** A topic of a mesh, and all who follow it. */
export class Shared {
    /**
     * @param {string} path
     * @param {FollowOptions} options
     */
    constructor(path: string, options: FollowOptions);
    /** @type {ConnectionState} */ state: ConnectionState;
    topic: Topic;
    types: string[] | undefined;
    history: number | undefined;
    /**
     * Have it carry these types too.
     *
     * @param {string[]} [types]  by default all
     * @returns {boolean} whether that is more than before
     */
    widen(types?: string[]): boolean;
    get isFollowed(): boolean;
    wasConnected: () => boolean;
    /** @param {ConnectionState} state */
    enter: (state: ConnectionState) => void;
    /** @param {Following} following */
    join(following: Following): void;
    /** @param {Following} following */
    leave(following: Following): void;
    #private;
}
/** One's own hold on a topic that is followed; made by `Mesh.follow`. `on` takes what that of `Connection` does. */
export class Following extends Emitter {
    /**
     * @param {Shared} shared
     * @param {string[] | undefined} types
     * @param {() => void} left
     */
    constructor(shared: Shared, types: string[] | undefined, left: () => void);
    /** How it stands now. */
    get state(): import("./line.js").ConnectionState;
    /** The positions reached. */
    get since(): string;
    /** @param {string} type @param {any} event */
    tell(type: string, event: any): void;
    /** Follow it no longer. Who else follows it goes on. */
    close(): void;
    #private;
}
export type ConnectionState = import("./line.js").ConnectionState;
export type FollowOptions = import("./topic.js").FollowOptions;
import { Topic } from "./topic.js";
import { Emitter } from "./emitter.js";
