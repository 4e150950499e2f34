/**
 * Say which mesh the components below follow. Without it they follow that of the page's own origin.
 *
 * @param {OpenOptions & { mesh?: Mesh, children?: import("react").ReactNode }} props  what `open` takes, read once but for
 *   `getToken`; or a `mesh` of one's own, which is left open
 */
export function MeshProvider({ mesh, children, ...options }: OpenOptions & {
    mesh?: Mesh;
    children?: import("react").ReactNode;
}): import("react").FunctionComponentElement<import("react").ProviderProps<Shelf>>;
/**
 * The mesh itself, to follow any topic and to send; null until the component is there.
 *
 * @returns {{ mesh: Mesh | null, connection: ConnectionState, error: Trouble | null }}
 */
export function useMesh(): {
    mesh: Mesh | null;
    connection: ConnectionState;
    error: Trouble | null;
};
/**
 * The messages of a session: stored, being written, and one's own on the way.
 *
 * @param {string | null | undefined} id  of the session; none, and nothing is followed
 * @param {{ history?: number, sender?: string }} [options]  how many messages to begin with, and as whom to speak
 * @returns {ChatNow & { send: Chat["send"], discard: (key: string) => void }}
 */
export function useChat(id: string | null | undefined, { history, sender }?: {
    history?: number;
    sender?: string;
}): ChatNow & {
    send: Chat["send"];
    discard: (key: string) => void;
};
/**
 * How far a task has come.
 *
 * @param {string | null | undefined} id  none, and nothing is followed
 * @returns {TaskNow}
 */
export function useTask(id: string | null | undefined): TaskNow;
/**
 * How an agent is, and what it does.
 *
 * @param {string | null | undefined} id  none, and nothing is followed
 * @returns {AgentNow}
 */
export function useAgent(id: string | null | undefined): AgentNow;
export type Ack = import("../index.js").Ack;
export type ConnectionState = import("../index.js").ConnectionState;
export type Item = import("../index.js").Item;
export type Mesh = import("../index.js").Mesh;
export type OpenOptions = import("../index.js").OpenOptions;
export type Agent = import("../views.js").Agent;
export type Chat = import("../views.js").Chat;
export type Task = import("../views.js").Task;
/**
 * What went wrong last, in words.
 */
export type Trouble = {
    code?: string;
    message?: string;
};
export type ChatNow = {
    /**
     * in the order they are to be read
     */
    items: Item[];
    /**
     * who types now
     */
    typing: string[];
    connection: ConnectionState;
    /**
     * what the API refused last
     */
    error: Trouble | null;
};
export type TaskNow = {
    /**
     * `running`, `completed`, `failed`, `cancelled`, or what else was told; empty while unknown
     */
    status: string;
    title: string;
    /**
     * who is at it
     */
    agent: string;
    /**
     * as it was told
     */
    progress: any;
    reason: string;
    /**
     * whether it goes on
     */
    isOpen: boolean;
    connection: ConnectionState;
    error: Trouble | null;
};
export type AgentNow = {
    /**
     * `online`, `busy`, `offline`, or empty while nothing is known
     */
    status: string;
    reason: string;
    /**
     * what it said last that it does, as it was told
     */
    activity: any;
    /**
     * the ids of what it works on
     */
    tasks: string[];
    connection: ConnectionState;
    error: Trouble | null;
};
import { Shelf } from "./shelf.js";
