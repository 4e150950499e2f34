/** The connection's state in the bar, and what it means for the reader. */

import { byId, setText } from "./dom.js";

/** @typedef {import("../sdk/js/mesh.js").ConnectionState} ConnectionState */

const WORST_FIRST = ["failed", "disconnected", "recovering", "connecting", "degraded", "connected"];
const WORDS = {
  connected: "Live",
  degraded: "Degraded",
  connecting: "Connecting…",
  recovering: "Reconnecting…",
  disconnected: "Disconnected",
  failed: "Refused",
};
const MEANS = {
  connected: "",
  degraded: "The mesh is cut off from its log. What you miss now arrives afterwards.",
  connecting: "Waiting for the mesh.",
  recovering: "Nothing is lost: what you miss now arrives afterwards.",
  disconnected: "The connection was closed. Reload the page to follow the mesh again.",
  failed: "The mesh refused this connection.",
};

/** @param {ConnectionState} state */
const nameOf = ({ state, degraded }) => (state === "connected" && degraded ? "degraded" : state);

/** Shows the worse of the states it is given. */
export class StatusView {
  /** @type {Map<string, ConnectionState & { until: number }>} by connection */
  #states = new Map();
  /** @type {any} */
  #timer;
  #box = byId("status");
  #text = this.#box.querySelector(".status-text");
  #hint = byId("composer-hint");

  /**
   * @param {string} connection
   * @param {ConnectionState | null} state  null where the connection is no longer of interest
   */
  show(connection, state) {
    if (state) this.#states.set(connection, { ...state, until: Date.now() + (state.retryInMs ?? 0) });
    else this.#states.delete(connection);
    this.#render();
  }

  #render() {
    clearTimeout(this.#timer);
    const [worst] = [...this.#states.values()].sort((a, b) => WORST_FIRST.indexOf(nameOf(a)) - WORST_FIRST.indexOf(nameOf(b)));
    if (!worst) return;
    const name = /** @type {keyof typeof WORDS} */ (nameOf(worst));
    const left = worst.retryInMs === null ? 0 : Math.ceil((worst.until - Date.now()) / 1000);
    const says = left > 1 ? `Retrying in ${left} s` : WORDS[name];
    this.#box.dataset.state = name;
    this.#box.title = worst.reason;
    setText(this.#text, says);
    setText(this.#hint, name === "failed" && worst.reason ? `${MEANS.failed} ${worst.reason}` : MEANS[name]);
    if (left > 1) this.#timer = setTimeout(() => this.#render(), 500);
  }
}
