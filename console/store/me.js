/** Who one is here: by one's token where the mesh asks for tokens, else by the name one gave oneself. */

import * as api from "../api.js";
import { computed, signal } from "../vendor/preact.js";
import { local } from "./kept.js";

/** How speakers are called that have no name. */
export const NOBODY = "user";

/**
 * What the mesh says of who asks, and the patterns of subjects that they may read and write. `known` is false until it said so; `refused` where it wants a token.
 *
 * @type {import("../vendor/preact.js").Signal<{ known: boolean, refused: boolean, user: string | null, open: boolean, read: string[], write: string[], expiresAt: number }>}
 */
export const told = signal({ known: false, refused: false, user: null, open: true, read: [">"], write: [">"], expiresAt: 0 });

/** The name one gave oneself in this browser. */
export const ownName = signal(String(local.read("name", "")));

/** As whom one speaks; empty for nobody in particular. */
export const name = computed(() => told.value.user ?? ownName.value);

export const sender = () => name.peek() || NOBODY;

/** Whether it is oneself who speaks. @param {string} who */
export const isMe = (who) => who === (name.value || NOBODY);

/** Ask the mesh who one is. */
export async function loadMe() {
  try {
    const { user = null, open = true, read = [], write = [], expires_at: expires } = await api.me();
    const at = typeof expires === "number" ? expires * 1000 : Date.parse(expires ?? "") || 0;
    told.value = { known: true, refused: false, user, open, read, write, expiresAt: at };
  } catch (error) {
    const { status } = /** @type {api.ApiError} */ (error);
    if (status === 401) told.value = { ...told.peek(), known: true, refused: true, open: false };
  }
}

/** Go by another name. @param {string} chosen */
export function call(chosen) {
  const given = chosen.trim().slice(0, 64);
  local.write("name", given || null);
  ownName.value = given;
}
