/** The one connection of the page: how it stands, and what it brings, once for each frame. */

import { compareCursors, open } from "../../sdk/mesh.js";
import { inFrame } from "../frame.js";
import { signal } from "../vendor/preact.js";
import { ownName } from "./me.js";

/** @typedef {import("../../sdk/js/mesh.js").MeshEvent} MeshEvent */
/** @typedef {import("../../sdk/js/mesh.js").ConnectionState} ConnectionState */

/** Where the mesh is. */
export const BASE = new URL("../../", import.meta.url);

const WORST_FIRST = ["failed", "disconnected", "recovering", "connecting", "degraded", "connected"];

/** @param {ConnectionState} state */
export const nameOf = ({ state, degraded }) => (state === "connected" && degraded ? "degraded" : state);

export { compareCursors };

/** A socket that says as whom one is here, where one has a name and nobody asks for a token. */
class NamedSocket extends WebSocket {
  /** @param {string | URL} url @param {string | string[]} [protocols] */
  constructor(url, protocols) {
    const named = new URL(url);
    if (ownName.peek()) named.searchParams.set("who", ownName.peek());
    super(named, protocols);
  }
}

export const mesh = open({ base: BASE, WebSocket: /** @type {any} */ (NamedSocket) });

/** @type {Map<string, ConnectionState & { until: number, withheld: boolean }>} by what is followed */
const states = new Map();

/**
 * How the connection stands: the worst of what is followed. `until` is when the next attempt is made, in milliseconds.
 *
 * @type {import("../vendor/preact.js").Signal<ConnectionState & { name: string, until: number }>}
 */
export const connection = signal({ ...mesh.state, name: "connecting", until: 0 });

/** Whether one's token shows nothing of the feed of everything: then there are the sessions one belongs to, and no more. */
export const isFeedWithheld = signal(false);

/** Whether a topic alone was refused: the connection lives, and it is the token that does not allow it. @param {ConnectionState} state */
export const isWithheld = ({ state }) => state === "failed" && mesh.state.state === "connected";

function judge() {
  const allowed = [...states.values()].filter(({ withheld }) => !withheld);
  const [worst] = allowed.sort((a, b) => WORST_FIRST.indexOf(nameOf(a)) - WORST_FIRST.indexOf(nameOf(b)));
  const now = worst ?? (states.size && { ...mesh.state, until: 0 });
  if (now) connection.value = { ...now, name: nameOf(now) };
  isFeedWithheld.value = Boolean(states.get("events")?.withheld);
}

/**
 * Count how something stands.
 *
 * @param {string} name
 * @param {ConnectionState | null} state  null where it is no longer of interest
 */
export function stands(name, state) {
  if (state) states.set(name, { ...state, until: Date.now() + (state.retryInMs ?? 0), withheld: isWithheld(state) });
  else states.delete(name);
  judge();
}

/**
 * Follow a topic over the connection of the page, and count how it stands.
 *
 * @param {string} topic
 * @param {import("../../sdk/js/mesh.js").FollowOptions} [options]
 * @returns {import("../../sdk/js/mesh.js").Following}
 */
export function follow(topic, options) {
  const following = mesh.follow(topic, options);
  stands(topic, following.state);
  following.on("state", (state) => stands(topic, state));
  const close = following.close.bind(following);
  following.close = () => {
    close();
    stands(topic, null);
  };
  return following;
}

/**
 * Gather what comes one by one, and hand it on once for each frame.
 *
 * @template T
 * @param {(all: T[]) => void} take
 * @returns {(one: T) => void}
 */
export function gather(take) {
  /** @type {T[]} */
  let waiting = [];
  const flush = () => {
    const all = waiting;
    waiting = [];
    take(all);
  };
  return (one) => {
    waiting.push(one);
    inFrame(flush);
  };
}
