/**
 * Chats, tasks and agents in React, 18 or later.
 *
 *     import { MeshProvider, useChat } from "@daena/mesh/react";
 *     const Chat = ({ id }) => {
 *       const { items, send, connection } = useChat(id, { sender: "ada" });
 *       return items.map(({ key, sender, content }) => <p key={key}>{sender}: {content}</p>);
 *     };
 *
 * What several components show is followed once. It is followed from the first that shows it on, and until a moment
 * after the last is gone. Nothing is opened while a component renders, nor on a server.
 *
 * @module
 */

import { createContext, createElement, useCallback, useContext, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { Shelf } from "./shelf.js";

/** @typedef {import("../index.js").Ack} Ack */
/** @typedef {import("../index.js").ConnectionState} ConnectionState */
/** @typedef {import("../index.js").Item} Item */
/** @typedef {import("../index.js").Mesh} Mesh */
/** @typedef {import("../index.js").OpenOptions} OpenOptions */
/** @typedef {import("../views.js").Agent} Agent */
/** @typedef {import("../views.js").Chat} Chat */
/** @typedef {import("../views.js").Task} Task */

/**
 * What went wrong last, in words.
 *
 * @typedef {{ code?: string, message?: string }} Trouble
 */

/** @type {ConnectionState} */
const BEFORE = Object.freeze({ state: "connecting", reason: "", retryInMs: null, degraded: false });
const ID = /^[A-Za-z0-9_-]{1,64}$/;

const Context = createContext(new Shelf({}));

/**
 * Say which mesh the components below follow. Without it they follow that of the page's own origin.
 *
 * @param {OpenOptions & { mesh?: Mesh, children?: import("react").ReactNode }} props  what `open` takes, read once but for
 *   `getToken`; or a `mesh` of one's own, which is left open
 */
export function MeshProvider({ mesh, children, ...options }) {
  const [shelf] = useState(() => new Shelf(options, mesh));
  useEffect(() => {
    shelf.options = options;
  });
  return createElement(Context.Provider, { value: shelf }, children);
}

/**
 * The mesh itself, to follow any topic and to send; null until the component is there.
 *
 * @returns {{ mesh: Mesh | null, connection: ConnectionState, error: Trouble | null }}
 */
export function useMesh() {
  const shelf = useContext(Context);
  const subscribe = useCallback((/** @type {() => void} */ listener) => shelf.subscribeToMesh(listener), [shelf]);
  return useSyncExternalStore(subscribe, () => shelf.held("mesh")?.snapshot ?? NO_MESH, () => NO_MESH);
}

/** @type {{ mesh: Mesh | null, connection: ConnectionState, error: Trouble | null }} */
const NO_MESH = Object.freeze({ mesh: null, connection: BEFORE, error: null });

/**
 * @template S
 * @param {string} hook
 * @param {string | null | undefined} id
 * @param {S} before  what is shown while nothing is known
 * @param {import("./shelf.js").Kind<any, any>} kind
 * @param {string} [how]  what makes it another thing than that of the same id
 * @returns {[S, () => any]}
 */
function useView(hook, id, before, kind, how = "") {
  if (id !== null && id !== undefined && !ID.test(id)) throw new TypeError(`${hook}("${id}"): that is no id`);
  const shelf = useContext(Context);
  const key = `${hook} ${id} ${how}`;
  const subscribe = useCallback(
    (/** @type {() => void} */ listener) => (id ? shelf.subscribe(key, kind, listener) : () => undefined),
    [shelf, key], // of a key the kind is always the same
  );
  const snapshot = useSyncExternalStore(subscribe, () => shelf.held(key)?.snapshot ?? before, () => before);
  return [snapshot, useCallback(() => shelf.held(key)?.thing, [shelf, key])];
}

/**
 * @typedef {object} ChatNow
 * @property {Item[]} items                in the order they are to be read
 * @property {string[]} typing             who types now
 * @property {ConnectionState} connection
 * @property {Trouble | null} error        what the API refused last
 */

/** @type {ChatNow} */
const NO_CHAT = Object.freeze({ items: [], typing: [], connection: BEFORE, error: null });

/**
 * The messages of a session: stored, being written, and one's own on the way.
 *
 * @param {string | null | undefined} id  of the session; none, and nothing is followed
 * @param {{ history?: number, sender?: string }} [options]  how many messages to begin with, and as whom to speak
 * @returns {ChatNow & { send: Chat["send"], discard: (key: string) => void }}
 */
export function useChat(id, { history = 100, sender = "user" } = {}) {
  const kind = {
    open: (/** @type {Mesh} */ mesh) => mesh.chat(/** @type {string} */ (id), { history }),
    look: (/** @type {Chat} */ chat, /** @type {Trouble | null} */ error) => ({
      items: chat.items,
      typing: chat.typing(),
      connection: chat.state,
      error,
    }),
  };
  const [now, chat] = useView("useChat", id, NO_CHAT, kind, String(history));
  const send = useCallback(
    async (/** @type {string} */ content, /** @type {Parameters<Chat["send"]>[1]} */ options) => {
      if (!chat()) throw new Error("useChat: the component is not there yet, or no more");
      return /** @type {Ack} */ (await chat().send(content, { sender, ...options }));
    },
    [chat, sender],
  );
  const discard = useCallback((/** @type {string} */ key) => chat()?.discard(key), [chat]);
  return useMemo(() => ({ ...now, send, discard }), [now, send, discard]);
}

/**
 * @typedef {object} TaskNow
 * @property {string} status    `running`, `completed`, `failed`, `cancelled`, or what else was told; empty while unknown
 * @property {string} title
 * @property {string} agent     who is at it
 * @property {any} progress     as it was told
 * @property {string} reason
 * @property {boolean} isOpen   whether it goes on
 * @property {ConnectionState} connection
 * @property {Trouble | null} error
 */

/** @type {TaskNow} */
const NO_TASK = Object.freeze({
  ...{ status: "", title: "", agent: "", progress: null, reason: "", isOpen: false },
  ...{ connection: BEFORE, error: null },
});

const TASK = {
  /** @param {Task} task @param {Trouble | null} error */
  look: ({ status, title, agent, progress, reason, isOpen, state }, error) => ({
    ...{ status, title, agent, progress, reason, isOpen },
    ...{ connection: state, error },
  }),
};

/**
 * How far a task has come.
 *
 * @param {string | null | undefined} id  none, and nothing is followed
 * @returns {TaskNow}
 */
export function useTask(id) {
  const open = (/** @type {Mesh} */ mesh) => mesh.task(/** @type {string} */ (id));
  return useView("useTask", id, NO_TASK, { ...TASK, open })[0];
}

/**
 * @typedef {object} AgentNow
 * @property {string} status    `online`, `busy`, `offline`, or empty while nothing is known
 * @property {string} reason
 * @property {any} activity     what it said last that it does, as it was told
 * @property {string[]} tasks   the ids of what it works on
 * @property {ConnectionState} connection
 * @property {Trouble | null} error
 */

/** @type {AgentNow} */
const NO_AGENT = Object.freeze({ status: "", reason: "", activity: null, tasks: [], connection: BEFORE, error: null });

const AGENT = {
  /** @param {Agent} agent @param {Trouble | null} error */
  look: ({ status, reason, activity, tasks, state }, error) => ({ status, reason, activity, tasks, connection: state, error }),
};

/**
 * How an agent is, and what it does.
 *
 * @param {string | null | undefined} id  none, and nothing is followed
 * @returns {AgentNow}
 */
export function useAgent(id) {
  const open = (/** @type {Mesh} */ mesh) => mesh.agent(/** @type {string} */ (id));
  return useView("useAgent", id, NO_AGENT, { ...AGENT, open })[0];
}
