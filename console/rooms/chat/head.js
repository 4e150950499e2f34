/** The head of a conversation: its title, who is here, and what can be done with it. */

import * as api from "../../api.js";
import { hue } from "../../format.js";
import { useShortcuts } from "../../keys.js";
import { Icon } from "../../parts/icons.js";
import { go, href } from "../../router.js";
import { Lazy } from "../../parts/states.js";
import { isMe, told } from "../../store/me.js";
import { listed } from "../../store/world.js";
import { covers } from "../../subjects.js";
import { toast } from "../../toasts.js";
import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { isAsideOpen, setAside } from "./now.js";

const MOST_SHOWN = 4;

/** Who is here. @param {{ here: Map<string, number> }} props */
function Here({ here }) {
  const names = [...here.keys()].sort((a, b) => (here.get(a) ?? 0) - (here.get(b) ?? 0));
  if (names.length === 0) return null;
  const words = `Here: ${names.map((name) => (isMe(name) ? `${name} (you)` : name)).join(", ")}`;
  return html`
    <span class="here" role="img" aria-label=${words} title=${words}>
      ${names.slice(0, MOST_SHOWN).map((name) => html`<span key=${name} class="avatar" style=${{ "--hue": hue(name) }} aria-hidden="true">${[...name][0]?.toUpperCase()}</span>`)}
      ${names.length > MOST_SHOWN && html`<span class="count" aria-hidden="true">+${names.length - MOST_SHOWN}</span>`}
    </span>
  `;
}

/** @param {{ id: string, title: string, end: () => void }} props */
function Rename({ id, title, end }) {
  const box = useRef(/** @type {any} */ (null));
  useEffect(() => box.current.select(), []);
  const rename = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const name = box.current.value.trim();
    end();
    if (!name || name === title) return;
    try {
      const { session } = await api.changeSession(id, { title: name }, crypto.randomUUID());
      listed([session]);
    } catch (error) {
      toast(`Not renamed. ${error instanceof Error ? error.message : error}`);
    }
  };
  return html`
    <form class="rename" onSubmit=${rename}>
      <label class="visually-hidden" for="rename">Title</label>
      <input
        ref=${box}
        id="rename"
        type="text"
        maxlength="200"
        value=${title}
        onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === "Escape" && (event.stopPropagation(), end())}
      />
      <button class="button primary" type="submit">Rename</button>
    </form>
  `;
}

/** @param {{ open: import("./open-chat.js").Open, id: string, title: string, scope: string, session: import("../../store/sessions.js").Entry | undefined }} props */
export function Head({ open, id, title, scope, session }) {
  const [renaming, setRenaming] = useState(false);
  const [sharing, setSharing] = useState(false);
  useEffect(() => (setRenaming(false), setSharing(false)), [id]);
  const pen = useRef(/** @type {any} */ (null));
  const ended = () => (setRenaming(false), setTimeout(() => pen.current?.focus(), 50));
  const canChange = session && open.state === "open" && open.id === id;
  const tool = `icon-button${id ? "" : " absent"}`;
  const mayShare = session && !told.value.open && (isMe(session.owner) || told.value.write.some((mine) => covers(mine, `session.${id}.updated`)));
  const drop = async () => {
    try {
      const { remove } = await import("./deleting.js");
      remove({ id, title }, { undone: () => go(href("chat", [id])) });
      go(href("chat"), { replace: true });
    } catch {
      toast(`“${title}” was not deleted. The mesh does not answer.`);
    }
  };
  useShortcuts([{ keys: "F2", says: "Rename the session", group: "Chat", run: () => canChange && setRenaming(true) }]);
  return html`
    <header class="pane-head chat-head">
      <a class="icon-button back" href=${href("chat")} aria-label="All sessions"><${Icon} name="back" /></a>
      ${renaming && canChange
        ? html`<${Rename} id=${id} title=${title} end=${ended} />`
        : html`<h2 id="chat-title" title=${id && id !== title ? `${title} (${id})` : title}>${title}</h2>`}
      ${scope && html`<span class="scope">${scope}</span>`}
      <span class="spacer"></span>
        <${Here} here=${open.id === id ? open.here : new Map()} />
        ${mayShare && html`<button type="button" class=${tool} aria-label="Share session" title="Share" aria-haspopup="dialog" disabled=${!canChange} onClick=${() => setSharing(true)}><${Icon} name="share" /></button>`}
        <button ref=${pen} type="button" class=${tool} aria-label="Rename session" title="Rename (F2)" disabled=${!canChange} onClick=${() => setRenaming(true)}><${Icon} name="edit" /></button>
        <button type="button" class=${tool} aria-label="Delete session" title="Delete" disabled=${!canChange} onClick=${drop}><${Icon} name="trash" /></button>
        <button type="button" class="icon-button aside-switch" aria-label="What goes on" title="What goes on" aria-pressed=${isAsideOpen.value} onClick=${() => setAside(!isAsideOpen.peek())}><${Icon} name="panel" /></button>
        ${sharing && session && html`<${Lazy} load=${() => import("./share.js")} session=${session} end=${() => setSharing(false)} />`}
    </header>
  `;
}
