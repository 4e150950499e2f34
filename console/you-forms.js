/** The forms of the sheet about oneself: a name where nobody signs in, else a token. */

import * as api from "./api.js";
import { call, loadMe, ownName, told } from "./store/me.js";
import { html, useEffect, useRef, useState } from "./vendor/preact.js";

/** @param {{ close: () => void }} props */
function NameForm({ close }) {
  const box = useRef(/** @type {any} */ (null));
  useEffect(() => box.current.focus(), []);
  const save = (/** @type {Event} */ event) => {
    event.preventDefault();
    const before = ownName.peek();
    call(box.current.value);
    close();
    // Who is here is told when a connection opens.
    if (ownName.peek() !== before) location.reload();
  };
  return html`
    <form class="you-form" onSubmit=${save}>
      <p>Nobody signs in on this mesh. With a name, others see who writes and who is here.</p>
      <label for="own-name">Your name</label>
      <input ref=${box} id="own-name" type="text" maxlength="64" autocomplete="nickname" value=${ownName.value} />
      <div class="buttons"><button class="button primary" type="submit">Save</button></div>
    </form>
  `;
}

/** @param {{ refused: boolean, close: () => void }} props  `refused`: there is no token yet that is good */
function TokenForm({ refused, close }) {
  const box = useRef(/** @type {any} */ (null));
  const [{ busy, problem }, setAsked] = useState({ busy: false, problem: "" });
  const { user, expiresAt } = told.value;
  useEffect(() => box.current.focus(), []);
  const enter = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const token = box.current.value.trim();
    if (!token) return box.current.focus();
    setAsked({ busy: true, problem: "" });
    try {
      await api.login(token);
      box.current.value = "";
      // A connection that was refused begins anew; one that is open goes on with the new cookie.
      if (refused) return location.reload();
      await loadMe();
      setAsked({ busy: false, problem: "" });
      close();
    } catch (error) {
      setAsked({ busy: false, problem: error instanceof Error ? error.message : String(error) });
    }
  };
  const leave = async () => {
    await api.logout().catch(() => {});
    location.reload();
  };
  return html`
    <form class="you-form" onSubmit=${enter}>
      <p>
        ${user && !refused
          ? html`You are <b>${user}</b>${expiresAt > 0 && `, until ${new Date(expiresAt).toLocaleString()}`}. A fresh token prolongs it.`
          : html`This mesh asks who you are. Paste the token that you were given; whoever runs the mesh makes one with <code>mesh token</code>.`}
      </p>
      <label for="token">Token</label>
      <input ref=${box} id="token" type="password" autocomplete="off" spellcheck="false" readonly=${busy} aria-invalid=${problem ? "true" : undefined} aria-describedby="token-problem" />
      <p id="token-problem" class="problem" role="alert">${problem}</p>
      <div class="buttons">
        ${user && !refused && html`<button class="button" type="button" onClick=${leave}>Sign out</button>`}
        <button class="button primary" type="submit" disabled=${busy}>${user && !refused ? "Renew" : "Sign in"}</button>
      </div>
    </form>
  `;
}

/** @param {{ refused: boolean, close: () => void }} props */
export default (props) => html`<${told.value.open ? NameForm : TokenForm} ...${props} />`;
