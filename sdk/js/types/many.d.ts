/** Many topics on one socket, each followed once however many ask for it; made by `open`. */
export class Mesh extends Lined {
    /** @param {OpenOptions} [options] */
    constructor(options?: OpenOptions);
    /**
     * Follow a topic, along with all others who do.
     *
     * The first to follow says from where on. Who comes later hears what comes from then on; where they ask for types that
     * nobody has asked for yet, some of what was before may come too.
     *
     * @param {string} name  `events`, `council`, `chat_<session>` or `agent_<id>`
     * @param {FollowOptions} [options]
     * @returns {Following}
     */
    follow(name: string, options?: FollowOptions): Following;
    /** Whether a topic is followed by anybody here. @param {string} name */
    follows(name: string): boolean;
    #private;
}
export type ConnectionState = import("./line.js").ConnectionState;
export type FollowOptions = import("./topic.js").FollowOptions;
export type MeshOptions = {
    /**
     * where topics and paths are resolved against; by default the page's origin
     */
    base?: string | URL | undefined;
};
export type OpenOptions = MeshOptions & import("./line.js").LineOptions;
import { Lined } from "./lined.js";
import { Following } from "./shared.js";
