/** The sheet of all shortcuts that do something now; loaded when it is first asked for. */

import { areLettersOn, isSheetOpen, known } from "./keys.js";
import { local } from "./store/kept.js";
import { html, useEffect, useRef } from "./vendor/preact.js";

export default function KeySheet() {
  const dialog = useRef(/** @type {any} */ (null));
  useEffect(() => {
    if (isSheetOpen.value && !dialog.current.open) dialog.current.showModal();
    if (!isSheetOpen.value && dialog.current.open) dialog.current.close();
  }, [isSheetOpen.value]);
  const groups = Map.groupBy ? Map.groupBy(known.value, ({ group }) => group ?? "Everywhere") : new Map([["", known.value]]);
  return html`
    <dialog ref=${dialog} class="sheet" aria-labelledby="keys-title" onClose=${() => (isSheetOpen.value = false)} onClick=${(/** @type {any} */ event) => event.target === dialog.current && dialog.current.close()}>
      <header class="sheet-head">
        <h2 id="keys-title">Keyboard</h2>
        <button type="button" class="text-button" onClick=${() => dialog.current.close()}>Close</button>
      </header>
      ${[...groups].map(
        ([group, all]) => html`
          <section key=${group}>
            <h3>${group}</h3>
            <dl>${all.map(({ keys, says }) => html`<div key=${keys}><dt>${keys.split(" ").map((key) => html`<kbd>${key}</kbd>`)}</dt><dd>${says}</dd></div>`)}</dl>
          </section>
        `,
      )}
      <label class="check">
        <input type="checkbox" checked=${areLettersOn.value} onChange=${(/** @type {any} */ { target }) => local.write("letters", (areLettersOn.value = target.checked))} />
        Single letters are shortcuts
      </label>
    </dialog>
  `;
}
