/** Sessions that are about to be deleted: for a moment it can be undone. */

import * as api from "../../api.js";
import { toast } from "../../toasts.js";
import { hide } from "../../store/world.js";

/** @type {Map<string, string>} by session, the key of the call that will delete it */
const pending = new Map();

/**
 * Delete a session, unless it is undone.
 *
 * @param {{ id: string, title: string }} session
 * @param {{ undone: () => void }} options
 */
export function remove({ id, title }, { undone }) {
  pending.set(id, crypto.randomUUID());
  hide(id, true);
  toast(`“${title}” is deleted.`, {
    action: "Undo",
    run: () => {
      pending.delete(id);
      hide(id, false);
      undone();
    },
    gone: () => void finish(id, title),
  });
}

/** @param {string} id @param {string} title */
async function finish(id, title) {
  const key = pending.get(id);
  if (!key) return;
  try {
    await api.deleteSession(id, key);
    pending.delete(id);
  } catch (error) {
    pending.delete(id);
    const { status, message } = /** @type {api.ApiError} */ (error);
    if (status === 410 || status === 404) return;
    hide(id, false);
    toast(`“${title}” was not deleted. ${message}`);
  }
}

// Who leaves the page undoes nothing any more.
addEventListener("pagehide", () => {
  for (const [id, key] of pending) api.deleteSession(id, key, { last: true }).catch(() => {});
  pending.clear();
});
