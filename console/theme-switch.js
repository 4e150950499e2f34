/** The switch between light and dark; theme.js sets what was chosen before the first paint. */

export function switchTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("mesh:theme", root.dataset.theme);
  } catch {
    // chosen for this visit only
  }
}
