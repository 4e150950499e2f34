/**
 * Sessions that are about to be deleted: for a moment it can be undone.
 *
 * Who leaves the page undoes nothing any more: they are deleted then. What a page sends while it goes may come after what
 * the next one asks, or never; so the next one knows of them, and deletes them once more.
 */

import * as api from "../../api.js";
import { session as kept } from "../../store/kept.js";
import { hide } from "../../store/world.js";
import { toast } from "../../toasts.js";

/**
 * @typedef {object} Pending
 * @property {string} title
 * @property {string} key         of the call that deletes it
 * @property {() => void} [end]   no longer lets it be undone
 */

/** @type {Map<string, Pending>} by session */
const pending = new Map();

/**
 * Delete a session, unless it is undone.
 *
 * @param {{ id: string, title: string }} session
 * @param {{ undone: () => void }} options
 */
export function remove({ id, title }, { undone }) {
  hide(id, true);
  const end = toast(`“${title}” is deleted.`, {
    action: "Undo",
    run: () => {
      pending.delete(id);
      hide(id, false);
      undone();
    },
    gone: () => void finish(id),
  });
  pending.set(id, { title, key: crypto.randomUUID(), end });
}

/** @param {string} id */
async function finish(id) {
  const found = pending.get(id);
  if (!found) return;
  try {
    await api.deleteSession(id, found.key);
    pending.delete(id);
  } catch (error) {
    pending.delete(id);
    const { status, message } = /** @type {api.ApiError} */ (error);
    if (status === 410 || status === 404) return;
    hide(id, false);
    toast(`“${found.title}” was not deleted. ${message}`);
  }
}

/** Delete what was about to be deleted when the page before was left. */
export function resume() {
  for (const [id, found] of Object.entries(kept.read("deleting", /** @type {Record<string, Pending>} */ ({})))) {
    pending.set(id, found);
    hide(id, true);
    void finish(id);
  }
  kept.write("deleting", null);
}

addEventListener("pagehide", () => {
  if (pending.size) kept.write("deleting", Object.fromEntries(pending)); // as JSON: without their functions
  for (const { end } of pending.values()) end?.();
});
// A page that is shown again as it was left has been told what became of them, or will be.
addEventListener("pageshow", ({ persisted }) => persisted && kept.write("deleting", null));
