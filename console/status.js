/** How the connection is, in the bar, and what it means for the reader. */

import { connection } from "./store/link.js";
import { html, useEffect, useState } from "./vendor/preact.js";

/** @type {Record<string, string>} */
const WORDS = {
  connected: "Live",
  degraded: "Degraded",
  connecting: "Connecting…",
  recovering: "Reconnecting…",
  disconnected: "Disconnected",
  failed: "Refused",
};
/** @type {Record<string, string>} */
const MEANS = {
  connected: "",
  degraded: "The mesh is cut off from its log. What you miss now arrives afterwards.",
  connecting: "Waiting for the mesh.",
  recovering: "Nothing is lost: what you miss now arrives afterwards.",
  disconnected: "The connection was closed. Reload the page to follow the mesh again.",
  failed: "The mesh refused this connection.",
};

/** What the state of the connection means for the reader; empty where all is well. */
export function meaning() {
  const { name, reason } = connection.value;
  return name === "failed" && reason ? `${MEANS.failed} ${reason}` : MEANS[name];
}

export function Status() {
  const { name, reason, until } = connection.value;
  const [, tick] = useState(0);
  const left = Math.ceil((until - Date.now()) / 1000);
  useEffect(() => {
    if (left <= 1) return undefined;
    const timer = setTimeout(() => tick((count) => count + 1), 500);
    return () => clearTimeout(timer);
  });
  return html`
    <p id="status" class="status" role="status" data-state=${name} title=${reason}>
      <span class="status-dot" aria-hidden="true"></span>
      <span class="status-text">${left > 1 ? `Retrying in ${left} s` : WORDS[name]}</span>
    </p>
  `;
}
