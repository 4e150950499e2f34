/** Which pane a narrow window shows, and in which theme. */

const root = document.documentElement;
const tabs = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-show]"));

/** @param {"sessions" | "chat" | "feed" | string} name */
export function showPane(name) {
  root.dataset.view = name;
  for (const tab of tabs) {
    if (tab.dataset.show === name) tab.setAttribute("aria-current", "true");
    else tab.removeAttribute("aria-current");
  }
}

/** Whether only one pane has room. */
export const isNarrow = () => matchMedia("(max-width: 47.99rem)").matches;

for (const tab of tabs) tab.addEventListener("click", () => showPane(tab.dataset.show ?? "chat"));

document.getElementById("theme")?.addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("mesh:theme", root.dataset.theme);
  } catch {
    // chosen for this visit only
  }
});
