/** The sheet in which the owner of a session, or who may write on it anyway, says with whom it is shared. */

import * as api from "../../api.js";
import { hue } from "../../format.js";
import { isMe } from "../../store/me.js";
import { listed } from "../../store/world.js";
import { html, useEffect, useRef, useState } from "../../vendor/preact.js";

const MOST_CHARS = 256;

/** @param {{ session: import("../../store/sessions.js").Entry, end: () => void }} props */
export default function Share({ session: { id, title, owner, members }, end }) {
  const dialog = useRef(/** @type {any} */ (null));
  const box = useRef(/** @type {any} */ (null));
  const [{ busy, problem, done }, setAsked] = useState({ busy: false, problem: "", done: "" });
  useEffect(() => (dialog.current.showModal(), box.current.focus()), []);
  const say = (/** @type {string} */ words) => (setAsked({ busy: false, problem: words, done: "" }), box.current.focus());
  const change = async (/** @type {{ add?: string[], remove?: string[] }} */ changes, /** @type {string} */ words) => {
    setAsked({ busy: true, problem: "", done: "" });
    try {
      const { session } = await api.changeMembers(id, changes, crypto.randomUUID());
      listed([session]);
      setAsked({ busy: false, problem: "", done: words });
      if (changes.add) box.current.value = "";
      box.current.focus();
    } catch (error) {
      say(`Not changed. ${error instanceof Error ? error.message : error}`);
    }
  };
  const add = (/** @type {Event} */ event) => {
    event.preventDefault();
    const who = box.current.value.trim();
    if (busy) return;
    if (!who) return say("Type the name of somebody.");
    if (who === owner) return say(`The session is ${isMe(owner) ? "yours" : "theirs"} already.`);
    if (members.includes(who)) return say(`${who} is a member already.`);
    void change({ add: [who] }, `${who} can see all of it now, and write here.`);
  };
  return html`
    <dialog ref=${dialog} class="sheet share" aria-labelledby="share-title" onClose=${end}>
      <header class="sheet-head">
        <h2 id="share-title">Share “${title}”</h2>
        <button type="button" class="text-button" onClick=${() => dialog.current.close()}>Close</button>
      </header>
      <form class="you-form" autocomplete="off" novalidate onSubmit=${add}>
        <p>Members read all of this session, write in it, and may rename and delete it. They find it in their list of sessions.</p>
        <label for="share-name">Name, as in their token</label>
        <div class="share-line">
          <input ref=${box} id="share-name" type="text" maxlength=${MOST_CHARS} autocapitalize="none" spellcheck="false" enterkeyhint="done" readonly=${busy} aria-invalid=${problem ? "true" : undefined} aria-describedby="share-problem" />
          <button class="button primary" type="submit" disabled=${busy}>Add</button>
        </div>
        <p id="share-problem" class="problem" role="alert">${problem}</p>
      </form>
      <h3 id="share-members">Members</h3>
      <ul class="share-list" aria-labelledby="share-members">
        ${members.map(
          (who) => html`
            <li key=${who}>
              <span class="avatar" style=${{ "--hue": hue(who) }} aria-hidden="true">${[...who][0]?.toUpperCase()}</span>
              <span class="share-who" title=${who}>${who}</span>
              <button type="button" class="text-button" aria-label=${`Remove ${who}`} disabled=${busy} onClick=${() => change({ remove: [who] }, `${who} sees nothing of it any more.`)}>Remove</button>
            </li>
          `,
        )}
      </ul>
      ${members.length === 0 && html`<p class="note">${owner ? `Nobody but ${isMe(owner) ? "you" : owner}.` : "Nobody so far."}</p>`}
      <p class="share-done" role="status">${done}</p>
    </dialog>
  `;
}
