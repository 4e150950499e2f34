// A classic script in the head, before anything else is asked for: the theme, and what to do when the page does not arrive whole.
(() => {
  const AGAIN_AFTER_MS = 20_000;
  const root = document.documentElement;
  try {
    const theme = localStorage.getItem("mesh:theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  } catch {
    // storage is forbidden: the system's theme it is
  }

  /** Whether it was not tried again just now already. */
  function isFirst() {
    try {
      const before = Number(sessionStorage.getItem("mesh:again"));
      sessionStorage.setItem("mesh:again", String(Date.now()));
      return Date.now() - before > AGAIN_AFTER_MS;
    } catch {
      return false;
    }
  }

  // A module that a changed network cut off would leave the page empty: it is loaded once more, then it says so.
  addEventListener(
    "error",
    ({ target }) => {
      if (!(target instanceof HTMLScriptElement)) return;
      if (isFirst()) return location.reload();
      const page = document.getElementById("page");
      const words = document.createElement("p");
      const link = document.createElement("a");
      words.className = "unloaded";
      words.setAttribute("role", "alert");
      link.href = location.href;
      link.textContent = "Try again";
      link.addEventListener("click", (event) => (event.preventDefault(), location.reload()));
      words.append("The page did not arrive whole: the mesh does not answer, or the network changed. ", link);
      page?.replaceChildren(words);
    },
    true,
  );
})();
