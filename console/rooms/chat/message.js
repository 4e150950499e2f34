/** One message of a conversation. */

import { clock, hue } from "../../format.js";
import { Component, html, useState } from "../../vendor/preact.js";
import { NOBODY, isMe } from "../../store/me.js";
import { Markdown } from "./markdown.js";
import { discard, say, stop } from "./open-chat.js";
import { giveBack } from "./composer.js";

/** @typedef {import("../../../sdk/js/conversation.js").Item} Item */

const AGAIN_MS = 5_000;
/** @type {Record<string, string>} why a message is incomplete */
const INCOMPLETE = {
  failed: "Incomplete: the writer failed.",
  cancelled: "Incomplete: the writer was cancelled.",
  stopped: "Stopped.",
  lost: "Incomplete: nothing more was heard of the writer.",
};

/** The button that stops who writes a message. @param {{ item: Item }} props */
function Stopper({ item }) {
  const [asked, setAsked] = useState(false);
  const press = async () => {
    setAsked(true);
    const isTold = await stop(item);
    // A writer that was cut off just then has not heard it.
    setTimeout(() => setAsked(false), isTold ? AGAIN_MS : 0);
  };
  return html`<button type="button" class="text-button stop" aria-label=${`Stop ${item.sender}`} disabled=${asked} onClick=${press}>Stop</button>`;
}

/** @param {{ item: Item, session: string }} props */
const Failed = ({ item, session }) => html`
  <div class="failed-note" role="alert">
    <span>Not sent. ${item.reason}</span>
    <button type="button" class="text-button" onClick=${() => say(item.content, item.key)}>Try again</button>
    <button type="button" class="text-button" onClick=${() => (discard(item), giveBack(session, item.content))}>Discard</button>
  </div>
`;

/**
 * It is drawn anew only where it changed, as many stand in a conversation while one of them is being written.
 *
 * @extends {Component<{ item: Item, starts: boolean, day: string, isNew: boolean, session: string }>}
 */
export class Message extends Component {
  /** @param {any} next */
  shouldComponentUpdate(next) {
    const { item, starts, day, isNew } = this.props;
    return next.item !== item || next.starts !== starts || next.day !== day || next.isNew !== isNew;
  }

  render() {
    const { item, starts, day, isNew, session } = /** @type {any} */ (this.props);
    const mine = isMe(item.sender);
    const kind = mine ? "mine" : item.sender === "system" ? "system" : "theirs";
    const classes = ["message", kind, item.status, item.incomplete && "incomplete", starts && "starts"].filter(Boolean).join(" ");
    return html`
      <li class=${classes} style=${{ "--hue": hue(item.sender) }}>
        ${day && html`<div class="day"><span>${day}</span></div>`}
        ${isNew && html`<div class="day new-from"><span>New</span></div>`}
        ${starts && kind === "theirs" && html`<span class="avatar" aria-hidden="true">${[...item.sender][0]?.toUpperCase() ?? "?"}</span>`}
        ${starts &&
        html`<div class="meta">
          <span class="sender">${mine ? (item.sender === NOBODY ? "You" : `${item.sender} (you)`) : item.sender}</span>
          <time datetime=${Number.isNaN(item.at) ? undefined : new Date(item.at).toISOString()}>${clock(item.at)}</time>
        </div>`}
        <div class="body"><${Markdown} text=${item.content} /></div>
        ${item.status === "failed" && html`<${Failed} item=${item} session=${session} />`}
        ${item.status === "streaming" && html`<${Stopper} item=${item} />`}
        ${item.incomplete && html`<div class="incomplete-note">${INCOMPLETE[item.reason] ?? "Incomplete."}</div>`}
      </li>
    `;
  }
}
