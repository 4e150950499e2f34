/** What councils said, as proposals with their votes and decisions, and notes. No page, no network. */

import { short } from "../../format.js";
import { Once } from "../once.js";

/**
 * @typedef {object} Item
 * @property {string} key
 * @property {"proposal" | "note"} kind
 * @property {string} council
 * @property {string} title
 * @property {string} text
 * @property {string} by
 * @property {number} began   milliseconds
 * @property {number} at      of the last word on it
 * @property {Map<string, string>} votes  by who gave them
 * @property {{ outcome: string, by: string, text: string, at: number } | null} decision
 */

const MOST_ITEMS = 1_000;
const FOR = /^(?:for|yes|yea|aye|approve[ds]?|accept(?:s|ed)?|agree[ds]?|pro|\+1|true)$/i;
const AGAINST = /^(?:against|no|nay|reject(?:s|ed)?|disagree[ds]?|con|veto|-1|false)$/i;

/** @param {unknown} value */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** The first of some values that says something. @param {unknown[]} values */
const first = (...values) => short(values.find((value) => value !== undefined && value !== null && value !== "" && !isObject(value)));

/** Which way a vote goes, or a decision. @param {string} choice @returns {"for" | "against" | "other"} */
export const wayOf = (choice) => (FOR.test(choice) ? "for" : AGAINST.test(choice) ? "against" : "other");

/** @param {Item} item */
export function standOf({ kind, decision }) {
  if (kind === "note") return "";
  if (!decision) return "open";
  return { for: "accepted", against: "rejected", other: "decided" }[wayOf(decision.outcome)];
}

/** How many votes go which way. @param {Item} item */
export function tally({ votes }) {
  const found = { for: 0, against: 0, other: 0 };
  for (const choice of votes.values()) found[wayOf(choice)] += 1;
  return found;
}

/** What an event says, whatever words its author chose. @param {any} event */
function read(event) {
  const payload = isObject(event.payload) ? event.payload : {};
  const { council_id, update, ...rest } = payload;
  const said = isObject(update) ? update : update === undefined ? rest : { text: update };
  const proposal = isObject(said.proposal) ? said.proposal : {};
  const verb = String(event.event_type ?? "").split(".")[1] ?? "";
  const told = String(said.type ?? said.kind ?? said.stage ?? (verb === "update" ? "" : verb)).toLowerCase();
  const vote = first(said.vote, said.choice);
  const outcome = first(said.decision, said.outcome, said.result, isObject(said.decision) ? said.decision.outcome : undefined);
  const [, id = ""] = String(event.subject ?? "").split(".");
  return {
    council: first(council_id, id),
    kind: told || (outcome ? "decision" : vote ? "vote" : said.proposal !== undefined ? "proposal" : "note"),
    key: first(said.proposal_id, proposal.id, proposal.proposal_id, said.id, said.proposal, said.title, said.topic),
    title: first(said.title, proposal.title, said.proposal, said.topic),
    text: first(said.text, said.description, proposal.text, proposal.description, said.reason, said.rationale, said.content, said.summary),
    by: first(said.by, said.author, said.member, said.voter, said.agent_id, said.sender, proposal.by, rest.sender),
    vote,
    outcome,
    rest: short(said),
    at: Date.parse(event.timestamp ?? "") || Date.now(),
  };
}

export class Minutes {
  /** @type {Map<string, Item>} */
  #items = new Map();
  #once = new Once();

  /** @param {any[]} events  in the order of the log */
  add(events) {
    for (const event of this.#once.of(events)) this.#take(event);
    if (this.#items.size <= 2 * MOST_ITEMS) return;
    this.#items = new Map([...this.#items].sort(([, a], [, b]) => a.at - b.at).slice(-MOST_ITEMS));
  }

  /** Newest first, by the last word on them. */
  get items() {
    return [...this.#items.values()].sort((a, b) => b.at - a.at).slice(0, MOST_ITEMS);
  }

  /** The councils, by the last word in them. */
  get councils() {
    return [...new Set(this.items.map(({ council }) => council))];
  }

  /** @param {any} event */
  #take(event) {
    const { council, kind, key, title, text, by, vote, outcome, rest, at } = read(event);
    const isNote = !key || !/^(?:propos|vote|ballot|decision|decided|accepted|rejected|approved)/.test(kind);
    if (isNote) {
      const note = { key: String(event.cursor), kind: /** @type {const} */ ("note"), council, title, text: text || (title ? "" : rest), by, began: at, at, votes: new Map(), decision: null };
      this.#items.set(`note ${event.cursor}`, note);
      return;
    }
    const name = `${council} ${key}`;
    const item = this.#items.get(name) ?? { key, kind: /** @type {const} */ ("proposal"), council, title: title || key, text: "", by: "", began: at, at, votes: new Map(), decision: null };
    this.#items.set(name, item);
    item.at = Math.max(item.at, at);
    if (/^(?:vote|ballot)/.test(kind)) item.votes.set(by || `vote ${item.votes.size + 1}`, vote || text || "abstained");
    else if (/^propos/.test(kind)) Object.assign(item, { title: title || item.title, text: text || item.text, by: by || item.by, began: Math.min(item.began, at) });
    else item.decision = { outcome: outcome || kind, by, text, at };
  }
}
