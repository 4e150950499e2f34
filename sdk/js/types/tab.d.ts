export class Tab {
    /** @type {Map<string, Tab>} by what is shared */ static "__#private@#tabs": Map<string, Tab>;
    /**
     * @param {string} name  what is shared, and with whom
     * @param {(protocols: string[]) => import("./line.js").Socket} open
     */
    static of(name: string, open: (protocols: string[]) => import("./line.js").Socket): Tab;
    /** @param {string} name @param {(protocols: string[]) => import("./line.js").Socket} open */
    constructor(name: string, open: (protocols: string[]) => import("./line.js").Socket);
    /** @param {string} id @param {End} end */
    join(id: string, end: End): void;
    /** @param {string} id @param {string} text */
    say(id: string, text: string): void;
    /** @param {string} id */
    leave(id: string): void;
    #private;
}
export type Message = import("./hub.js").Message;
/**
 * One end of what is shared.
 */
export type End = {
    protocols: string[];
    told: (message: Message) => void;
};
/**
 * What tabs say to each other.
 */
export type Said = {
    is: "hello";
    tab: string;
    end: string;
    protocols: string[];
} | {
    is: "text";
    end: string;
    text: string;
} | {
    is: "bye";
    end: string;
} | {
    is: "leads";
    leader: string;
} | {
    is: "told";
    leader: string;
    ends: string[];
    message: Message;
};
