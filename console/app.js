/** The page: one shell, its rooms, and what they share. */

import "./frame.js";
import "./store/world.js";
import { Shell } from "./shell.js";
import { session as kept } from "./store/kept.js";
import { h, render } from "./vendor/preact.js";

const page = /** @type {HTMLElement} */ (document.getElementById("page"));
page.replaceChildren();
render(h(Shell, null), page);
if (kept.read("deleting", null)) {
  import("./rooms/chat/deleting.js").then(
    ({ resume }) => resume(),
    () => {}, // it stays kept
  );
}
