/**
 * One tab among those that share a socket: it speaks over the hub of whichever leads, and leads when it is its turn.
 *
 * Who holds the lock leads. The browser hands it on when a tab is closed, crashes, or gives it up as it falls asleep; who
 * does not answer all the same loses it.
 */

import { Hub } from "./hub.js";
import { randomId } from "./outbox.js";

/** @typedef {import("./hub.js").Message} Message */

/**
 * One end of what is shared.
 *
 * @typedef {object} End
 * @property {string[]} protocols
 * @property {(message: Message) => void} told
 */

/**
 * What tabs say to each other.
 *
 * @typedef {{ is: "hello", tab: string, end: string, protocols: string[] }
 *   | { is: "text", end: string, text: string }
 *   | { is: "bye", end: string }
 *   | { is: "leads", leader: string }
 *   | { is: "told", leader: string, ends: string[], message: Message }} Said
 */

const ANSWER_WITHIN_MS = 3_000;
const LINGER_MS = 1_000;

export class Tab {
  /** @type {Map<string, Tab>} by what is shared */ static #tabs = new Map();
  #id = randomId();
  /** Each time that a tab leads has a name of its own. */ #leader = "";
  /** @type {Hub | null} */ #hub = null;
  /** @type {Map<string, End>} */ #ends = new Map();
  /** @type {Set<string>} */ #greeted = new Set();
  #over = new AbortController();
  #candidacy = new AbortController();
  /** @type {() => void} */ #release = () => {};
  /** @type {any} */ #impatience;
  /** @type {any} */ #linger;
  #isHere = false;
  #isAnswered = false;
  #channel;
  #name;
  #open;

  /** @param {string} name @param {(protocols: string[]) => import("./line.js").Socket} open */
  constructor(name, open) {
    this.#name = name;
    this.#open = open;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => this.#heard(data);
    this.#over.signal.addEventListener("abort", () => this.#candidacy.abort());
    const { signal } = this.#over;
    globalThis.document?.addEventListener("freeze", () => this.#sleep(), { signal });
    globalThis.addEventListener?.("pagehide", () => this.#sleep(), { signal });
    // The others see by this lock that this tab is there.
    void navigator.locks.request(`${name} ${this.#id}`, () => this.#present());
  }

  /**
   * @param {string} name  what is shared, and with whom
   * @param {(protocols: string[]) => import("./line.js").Socket} open
   */
  static of(name, open) {
    const tab = this.#tabs.get(name) ?? new Tab(name, open);
    this.#tabs.set(name, tab);
    return tab;
  }

  /** @param {string} id @param {End} end */
  join(id, end) {
    this.#ends.set(id, end);
    clearTimeout(this.#linger);
    queueMicrotask(() => this.#isHere && this.#hello(id)); // who joins does not listen yet
  }

  /** @param {string} id @param {string} text */
  say(id, text) {
    this.#toLeader({ is: "text", end: id, text });
  }

  /** @param {string} id */
  leave(id) {
    if (!this.#ends.delete(id)) return;
    this.#greeted.delete(id);
    this.#toLeader({ is: "bye", end: id });
    if (!this.#ends.size) this.#end();
  }

  #present() {
    this.#isHere = true;
    if (this.#over.signal.aborted) return;
    this.#stand();
    for (const id of this.#ends.keys()) this.#hello(id);
    return new Promise((resolve) => this.#over.signal.addEventListener("abort", resolve));
  }

  /** Lead, as soon as nobody else does. */
  #stand() {
    const { signal } = this.#candidacy;
    navigator.locks.request(this.#name, { signal }, () => this.#lead()).catch(() => this.#deposed());
  }

  /** Lead, for the one who leads does not answer. */
  #steal() {
    this.#candidacy.abort();
    if (this.#over.signal.aborted) return;
    this.#candidacy = new AbortController();
    navigator.locks.request(this.#name, { steal: true }, () => this.#lead()).catch(() => this.#deposed());
  }

  #lead() {
    if (this.#over.signal.aborted) return;
    this.#hub = new Hub(this.#open, (ends, message) => this.#tell(ends, message));
    const leader = randomId();
    this.#post({ is: "leads", leader });
    this.#follow(leader);
    return new Promise((/** @type {(value?: any) => void} */ resolve) => (this.#release = resolve));
  }

  /** Another one took the lead, or this one was not to have it any more. */
  #deposed() {
    const hub = this.#hub;
    this.#hub = null;
    if (!hub) return;
    hub.close();
    this.#release();
    if (!this.#over.signal.aborted) this.#stand();
  }

  /** There is a new leader: what went over another one is over. @param {string} leader */
  #follow(leader) {
    this.#leader = leader;
    const left = [...this.#greeted];
    this.#greeted.clear();
    for (const id of left) {
      this.#give([id], { text: '{"event_type":"reconnect","payload":{"after_ms":0}}' });
      this.#give([id], { code: 1012, reason: "another tab takes over" });
    }
    for (const id of this.#ends.keys()) this.#hello(id);
  }

  /** @param {string} id */
  #hello(id) {
    const end = this.#ends.get(id);
    if (!end) return;
    this.#isAnswered = false;
    this.#toLeader({ is: "hello", tab: this.#id, end: id, protocols: end.protocols });
    this.#impatience ??= setTimeout(() => {
      this.#impatience = undefined;
      if (!this.#hub && !this.#isAnswered) this.#steal();
    }, ANSWER_WITHIN_MS);
  }

  /** An answer comes after what was said, as from a server. @param {Said} said */
  #toLeader(said) {
    if (!this.#hub) return this.#post(said);
    queueMicrotask(() => this.#hub && this.#serve(said));
  }

  /** @param {Said} said */
  #post(said) {
    this.#channel.postMessage(said);
  }

  /** @param {Said} said */
  #heard(said) {
    if (said.is === "leads") {
      if (this.#hub) return; // the browser says so if it is over
      if (said.leader !== this.#leader) this.#follow(said.leader);
      else this.#isAnswered = true;
    } else if (said.is === "told") {
      if (said.leader === this.#leader) this.#give(said.ends, said.message);
    } else if (this.#hub) this.#serve(said);
  }

  /** @param {Said} said */
  #serve(said) {
    const hub = /** @type {Hub} */ (this.#hub);
    if (said.is === "hello") {
      if (said.tab !== this.#id) {
        this.#post({ is: "leads", leader: this.#leader });
        this.#watch(said.tab, said.end);
      }
      hub.hello(said.end, said.protocols);
    } else if (said.is === "text") hub.take(said.end, said.text);
    else if (said.is === "bye") hub.bye(said.end);
  }

  /** Notice when a tab is gone without a word. @param {string} tab @param {string} end */
  #watch(tab, end) {
    const { signal } = this.#over;
    const hub = this.#hub;
    navigator.locks.request(`${this.#name} ${tab}`, { signal }, () => hub?.bye(end)).catch(() => {});
  }

  /** @param {string[]} ends @param {Message} message */
  #tell(ends, message) {
    this.#give(ends, message);
    const others = ends.filter((id) => !this.#ends.has(id));
    if (others.length) this.#post({ is: "told", leader: this.#leader, ends: others, message });
  }

  /** @param {string[]} ends @param {Message} message */
  #give(ends, message) {
    for (const id of ends) {
      const end = this.#ends.get(id);
      if (!end) continue;
      if ("text" in message) this.#greeted.add(id);
      else {
        this.#ends.delete(id);
        this.#greeted.delete(id);
      }
      end.told(message);
    }
    if (this.#ends.size) return;
    clearTimeout(this.#linger);
    this.#linger = setTimeout(() => this.#end(), LINGER_MS); // it may come back at once
  }

  /** The tab is about to be frozen: nothing is carried on for it, nor by it for others. */
  #sleep() {
    this.#give([...this.#ends.keys()], { code: 1001, reason: "the tab sleeps" });
    this.#end();
  }

  #end() {
    if (this.#over.signal.aborted) return;
    Tab.#tabs.delete(this.#name);
    clearTimeout(this.#impatience);
    clearTimeout(this.#linger);
    this.#over.abort();
    const hub = this.#hub;
    this.#hub = null;
    hub?.close();
    this.#release();
    this.#channel.close();
  }
}
