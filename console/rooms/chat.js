/** The room where people talk with Daena, departments and agents. */

import { Empty, Loading, Problem } from "../parts/states.js";
import { href } from "../router.js";
import { name } from "../store/me.js";
import { reads, sessions, sessionsVersion, unreadCount } from "../store/world.js";
import { html, useEffect, useLayoutEffect } from "../vendor/preact.js";
import { Composer } from "./chat/composer.js";
import { Head } from "./chat/head.js";
import { Messages } from "./chat/messages.js";
import { Now, isAsideOpen } from "./chat/now.js";
import { again, current, say, show, typing } from "./chat/open-chat.js";
import { Sessions } from "./chat/sessions.js";

/** What stands where there are no messages. @param {import("./chat/open-chat.js").Open} open */
function note({ state, problem }) {
  if (state === "loading") return html`<div id="chat-note" class="chat-skeleton"><${Loading} widths=${[60, 38, 52]} label="Loading messages" /></div>`;
  if (state === "unread") return html`<${Problem} id="chat-note" title="The messages could not be loaded" text=${problem} retry=${again} />`;
  if (state === "absent") return html`<${Empty} id="chat-note" title="No such session yet"><p>It opens by itself with its first message. You can write it here.</p><//>`;
  if (state === "gone") {
    return html`<${Empty} id="chat-note" title="This session was deleted">
      <p>Its messages are gone for good.</p>
      <a class="button" href=${href("chat")}>New conversation</a>
    <//>`;
  }
  if (state === "foreign") {
    return html`<${Empty} id="chat-note" title="This session is not shared with you">
      <p>Whoever began it can share it, with you by the name <b>${name.value}</b>.</p>
      <button type="button" class="button" onClick=${again}>Try again</button>
    <//>`;
  }
  if (state === "open") return html`<${Empty} id="chat-note" title="Nothing said yet"><p>Write the first message. Everyone who follows this session sees it at once.</p><//>`;
  return html`<${Empty} id="chat-note" title="What should the agents work on?">
    <p>Write a message to begin a session, or choose one from the list. Every window that follows it sees each answer as it comes.</p>
  <//>`;
}

/** @param {{ path: string[], query: URLSearchParams }} props */
export default function Chat({ path, query }) {
  const id = path[0] ?? "";
  const open = current();
  useEffect(() => {
    void show(id);
    reads(id);
  }, [id]);
  useEffect(() => () => reads(""), []);
  void sessionsVersion.value;
  const session = sessions.find(id);
  const title = id ? (session?.title ?? id) : "New conversation";
  const unread = unreadCount.value;
  useLayoutEffect(() => {
    document.title = `${unread ? `(${unread}) ` : ""}${id ? `${title} · ` : ""}Daena Mesh`;
  }, [id, title, unread]);
  const view = id || query.has("new") ? "chat" : "sessions";
  return html`
    <div class=${`chat-room${isAsideOpen.value ? " with-aside" : ""}`} data-view=${view}>
      <${Sessions} current=${id} />
      <section id="chat" class="pane chat" aria-labelledby="chat-title">
        <${Head} open=${open} id=${id} title=${title} scope=${session?.scope ?? ""} session=${session} />
        ${open.id === id ? html`<${Messages} open=${open} note=${note(open)} />` : html`<div class="scroller"></div>`}
        <${Composer} id=${id} to=${session?.with?.id ?? "Daena"} disabled=${open.id === id && /^(gone|foreign)$/.test(open.state)} onSend=${(/** @type {string} */ text) => say(text)} onType=${typing} />
      </section>
      ${isAsideOpen.value && html`<${Now} />`}
    </div>
  `;
}
