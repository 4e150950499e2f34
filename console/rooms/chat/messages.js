/** The messages of the open session, which keep the reader where they read: at the end, or at the message they look at. */

import { dayName } from "../../format.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../../vendor/preact.js";
import { isMe } from "../../store/me.js";
import { Message } from "./message.js";
import { earlier } from "./open-chat.js";

/** @typedef {import("../../../sdk/js/conversation.js").Item} Item */

const TOGETHER_MS = 5 * 60_000;
const NEAR_END_PX = 80;

/** @param {Item} item */
const dayOf = ({ at }) => (Number.isNaN(at) ? "" : dayName(at));

/** Who is typing. @param {{ open: import("./open-chat.js").Open }} props */
function Typing({ open: { conversation } }) {
  const [, tick] = useState(0);
  const names = conversation.typing().filter((who) => !isMe(who));
  useEffect(() => {
    if (names.length === 0) return undefined;
    const timer = setTimeout(() => tick((count) => count + 1), 1_000);
    return () => clearTimeout(timer);
  });
  return html`<p class="typing" aria-live="off">${names.length > 0 && `${names.slice(0, 3).join(", ")} ${names.length > 1 ? "are" : "is"} typing…`}</p>`;
}

/** @param {{ open: import("./open-chat.js").Open, note: any }} props */
export function Messages({ open, note }) {
  const { conversation, id, next, state } = open;
  const { items } = conversation;
  const scroller = useRef(/** @type {any} */ (null));
  const reader = useRef({ id, sticks: true, first: "", last: "", height: 0 });
  const [hasNew, setHasNew] = useState(false);
  const toEnd = () => {
    scroller.current.scrollTop = scroller.current.scrollHeight;
    setHasNew(false);
  };
  useLayoutEffect(() => {
    const { current: box } = scroller;
    const { current: at } = reader;
    if (at.id !== id) Object.assign(at, { id, sticks: true, first: "", last: "" });
    const [first, last] = [items[0]?.key ?? "", items.at(-1)?.key ?? ""];
    if (at.sticks) toEnd();
    else if (first !== at.first && at.first) box.scrollTop += box.scrollHeight - at.height;
    else if (last !== at.last) setHasNew(true);
    Object.assign(at, { first, last, height: box.scrollHeight });
  });
  useLayoutEffect(() => {
    // A reader at the end stays there when the pane changes its height, as with a keyboard on a phone.
    const observer = new ResizeObserver(() => reader.current.sticks && toEnd());
    observer.observe(scroller.current);
    return () => observer.disconnect();
  }, []);
  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = scroller.current;
    reader.current.sticks = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    if (reader.current.sticks) setHasNew(false);
  };
  return html`
    <div id="scroller" ref=${scroller} class="scroller" tabindex="-1" onScroll=${scrolled}>
      ${next !== null && html`<button id="earlier" class="text-button earlier" type="button" onClick=${earlier}>Load earlier messages</button>`}
      <div id="log" class="log" role="log" aria-label="Messages" aria-busy=${state === "loading"}>
        <ol id="messages" class="messages">
          ${items.map((item, index) => {
            const previous = items[index - 1];
            const day = dayOf(item);
            const newDay = day !== "" && (!previous || dayOf(previous) !== day);
            const starts = newDay || !previous || previous.sender !== item.sender || item.at - previous.at > TOGETHER_MS;
            return html`<${Message} key=${item.key} item=${item} starts=${starts} day=${newDay ? day : ""} isNew=${item.key === open.newFrom} session=${id} />`;
          })}
        </ol>
      </div>
      ${items.length === 0 && note}
    </div>
    <${Typing} open=${open} />
    ${hasNew && html`<button id="to-end" class="to-end" type="button" onClick=${toEnd}>New messages ↓</button>`}
  `;
}
