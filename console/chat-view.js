/** The conversation in the middle of the page: messages, who is typing, and what stands there when there is nothing. */

import { arrange, byId, h, inFrame, setText } from "./dom.js";
import { clock, dayName, hue } from "./format.js";

/** @typedef {import("../sdk/conversation.js").Item} Item */

const TOGETHER_MS = 5 * 60_000;
const NEAR_END_PX = 80;
const AGAIN_MS = 5_000;
/** @type {Record<string, string>} why a message is incomplete */
const INCOMPLETE = {
  failed: "Incomplete: the writer failed.",
  cancelled: "Incomplete: the writer was cancelled.",
  stopped: "Stopped.",
  lost: "Incomplete: nothing more was heard of the writer.",
};

export class ChatView {
  #list = byId("messages");
  #log = byId("log");
  #scroller = byId("scroller");
  #note = byId("chat-note");
  #earlier = byId("earlier");
  #toEnd = byId("to-end");
  #title = byId("chat-title");
  #ident = byId("chat-id");
  /** @type {Map<string, any>} by key, what is drawn */
  #drawn = new Map();
  #typing = h("li", { class: "typing", "aria-live": "off" });
  /** @type {any} */
  #typingTimer;
  #sticks = true;
  #lastKey = "";
  /** @type {import("../sdk/conversation.js").Conversation | null} */
  #conversation = null;

  /** @param {{ onRetry: (item: Item) => void, onDiscard: (item: Item) => void, onStop: (item: Item) => Promise<boolean>, onEarlier: () => void }} actions */
  constructor(actions) {
    this.actions = actions;
    this.changed = inFrame(() => this.#render());
    this.#earlier.addEventListener("click", () => actions.onEarlier());
    this.#toEnd.addEventListener("click", () => this.#goToEnd());
    this.#scroller.addEventListener("scroll", () => {
      const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
      this.#sticks = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
      if (this.#sticks) this.#toEnd.hidden = true;
    });
    // A reader at the end stays there when the pane changes its height, as with a keyboard on a phone.
    new ResizeObserver(() => this.#sticks && this.#goToEnd()).observe(this.#scroller);
  }

  /** @param {import("../sdk/conversation.js").Conversation | null} conversation */
  open(conversation) {
    this.#conversation = conversation;
    this.#drawn.clear();
    this.#list.replaceChildren();
    this.#sticks = true;
    this.#lastKey = "";
    this.#toEnd.hidden = true;
    this.earlier(false);
    this.note(null);
  }

  /** @param {string} title @param {string} ident */
  head(title, ident) {
    setText(this.#title, title);
    setText(this.#ident, ident === title ? "" : ident);
    document.title = ident ? `${title} · Daena Mesh` : "Daena Mesh";
  }

  /** @param {boolean} more whether there are older messages to load */
  earlier(more) {
    this.#earlier.hidden = !more;
  }

  /** While messages are on their way. */
  loading() {
    this.note(h("div", { class: "chat-skeleton", "aria-hidden": "true" }, ...[60, 38, 52].map((w) => h("span", { class: `skeleton w${w}` }))));
    this.#log.setAttribute("aria-busy", "true");
  }

  /** Stand something in the place of messages. @param {Node | null} content */
  note(content) {
    this.#log.removeAttribute("aria-busy");
    this.#note.replaceChildren(...(content ? [content] : []));
    this.#note.hidden = !content;
  }

  #goToEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#toEnd.hidden = true;
  }

  #render() {
    const conversation = this.#conversation;
    if (!conversation) return;
    const { items } = conversation;
    const before = this.#scroller.scrollHeight - this.#scroller.scrollTop;
    const first = this.#list.firstElementChild;
    const kept = new Set(items.map(({ key }) => key));
    for (const key of this.#drawn.keys()) if (!kept.has(key)) this.#drawn.delete(key);
    const elements = items.map((item, index) => this.#message(item, items[index - 1]));
    arrange(this.#list, [...elements, ...this.#typers(conversation)]);
    const last = items.at(-1)?.key ?? "";
    if (this.#sticks) this.#goToEnd();
    else if (first && elements[0] !== first) this.#scroller.scrollTop = this.#scroller.scrollHeight - before;
    else if (last !== this.#lastKey) this.#toEnd.hidden = false;
    this.#lastKey = last;
  }

  /** @param {import("../sdk/conversation.js").Conversation} conversation */
  #typers(conversation) {
    const names = conversation.typing();
    clearTimeout(this.#typingTimer);
    if (names.length === 0) return [];
    this.#typingTimer = setTimeout(this.changed, 1_000);
    setText(this.#typing, `${names.slice(0, 3).join(", ")} ${names.length > 1 ? "are" : "is"} typing…`);
    return [this.#typing];
  }

  /**
   * @param {Item} item
   * @param {Item | undefined} previous
   */
  #message(item, previous) {
    const day = Number.isNaN(item.at) ? "" : dayName(item.at);
    const newDay = day !== "" && (!previous || Number.isNaN(previous.at) || dayName(previous.at) !== day);
    const starts = newDay || !previous || previous.sender !== item.sender || item.at - previous.at > TOGETHER_MS;
    const look = `${starts}|${newDay ? day : ""}|${item.status}|${item.incomplete}`;
    let drawn = this.#drawn.get(item.key);
    if (drawn?.item === item && drawn.look === look) return drawn.element;
    if (!drawn) {
      const body = h("div", { class: "body" });
      drawn = { element: h("li"), body };
      this.#drawn.set(item.key, drawn);
    }
    if (drawn.look !== look || drawn.item?.reason !== item.reason) this.#dress(drawn, item, starts, newDay ? day : "");
    setText(drawn.body, item.content);
    drawn.item = item;
    drawn.look = look;
    return drawn.element;
  }

  /**
   * Everything about a message but its text.
   *
   * @param {any} drawn
   * @param {Item} item
   * @param {boolean} starts
   * @param {string} day
   */
  #dress({ element, body }, item, starts, day) {
    const mine = item.sender === "user";
    const kind = mine ? "mine" : item.sender === "system" ? "system" : "theirs";
    element.className = `message ${kind} ${item.status}${item.incomplete ? " incomplete" : ""}${starts ? " starts" : ""}`;
    element.style.setProperty("--hue", String(hue(item.sender)));
    const head = h(
      "div",
      { class: "meta" },
      h("span", { class: "sender" }, mine ? "You" : item.sender),
      h("time", Number.isNaN(item.at) ? {} : { datetime: new Date(item.at).toISOString() }, clock(item.at)),
    );
    const avatar = h("span", { class: "avatar", "aria-hidden": "true" }, [...item.sender][0]?.toUpperCase() ?? "?");
    const failed = h(
      "div",
      { class: "failed-note", role: "alert" },
      h("span", {}, `Not sent. ${item.reason}`),
      h("button", { type: "button", class: "text-button", onclick: () => this.actions.onRetry(item) }, "Try again"),
      h("button", { type: "button", class: "text-button", onclick: () => this.actions.onDiscard(item) }, "Discard"),
    );
    element.replaceChildren(
      ...(day ? [h("div", { class: "day" }, h("span", {}, day))] : []),
      ...(starts && kind === "theirs" ? [avatar] : []),
      ...(starts ? [head] : []),
      body,
      ...(item.status === "failed" ? [failed] : []),
      ...(item.status === "streaming" ? [this.#stopper(item)] : []),
      ...(item.incomplete ? [h("div", { class: "incomplete-note" }, INCOMPLETE[item.reason] ?? "Incomplete.")] : []),
    );
  }

  /** The button that stops who writes a message. @param {Item} item */
  #stopper(item) {
    const button = h("button", { type: "button", class: "text-button stop", "aria-label": `Stop ${item.sender}` }, "Stop");
    button.addEventListener("click", async () => {
      button.disabled = true;
      const isTold = await this.actions.onStop(item);
      // A writer that was cut off just then has not heard it.
      setTimeout(() => (button.disabled = false), isTold ? AGAIN_MS : 0);
    });
    return button;
  }
}
