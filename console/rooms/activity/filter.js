/** What is wanted of all events: by type, subject, who is in it, and text. No page, no network. */

import { covers } from "../../subjects.js";

/**
 * @typedef {object} Filter
 * @property {string} type     `chat.message`, or a domain such as `chat`; empty for all
 * @property {string} subject  a pattern as NATS has it, `chat.*.message` or `agent.>`
 * @property {string} agent    who told it, or whom it is about
 * @property {string} text     anywhere in it
 * @property {boolean} pieces  also each piece of a message that is being written
 */

/** @typedef {import("./timeline.js").Row} Row */

const WORD = /^[A-Za-z0-9_-]{1,80}$/;
const MOST_TOKENS = 16;

/** @param {URLSearchParams} query @returns {Filter} */
export const filterOf = (query) => ({
  type: query.get("type") ?? "",
  subject: query.get("subject") ?? "",
  agent: query.get("agent") ?? "",
  text: query.get("text") ?? "",
  pieces: query.get("pieces") === "1",
});

/** @param {Filter} filter  as part of an address */
export const queryOf = ({ pieces, ...filter }) => ({ ...filter, pieces: pieces ? 1 : undefined });

/** How many of them narrow what is shown. @param {Filter} filter */
export const countOf = ({ type, subject, agent, text, pieces }) => [type, subject, agent, text, pieces].filter(Boolean).length;

/** Whether NATS could subscribe to it. @param {string} text */
export function isPattern(text) {
  const tokens = text.split(".");
  return tokens.length <= MOST_TOKENS && tokens.every((token, at) => token === "*" || (token === ">" && at === tokens.length - 1) || WORD.test(token));
}

/**
 * What the log is asked for: the subjects that can match. What they let through is still to be looked at.
 *
 * @param {Filter} filter
 * @returns {string[]}  empty for all
 */
export function subjectsOf({ type, subject }) {
  if (subject && isPattern(subject)) return [subject];
  const [domain, verb] = type.split(".");
  if (!domain) return [];
  return verb ? [`${domain}.*.${verb}`, `${domain}.*.${verb}.*`] : [`${domain}.>`];
}

/** A text that is looked for anywhere, whatever its case. @param {string} text */
const anywhere = (text) => new RegExp(text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"), "i");

/**
 * @param {Filter} filter
 * @returns {(row: Row) => boolean}
 */
export function matcher({ type, subject, agent, text, pieces }) {
  /** @type {Array<(row: Row) => boolean>} */
  const tests = [];
  if (!pieces && type !== "chat.delta") tests.push((row) => !row.isPiece);
  if (type) tests.push(type.includes(".") ? (row) => row.type === type : (row) => row.domain === type);
  if (subject && isPattern(subject)) tests.push((row) => covers(subject, row.subject));
  if (agent) tests.push((row) => row.who.includes(agent));
  if (text) {
    const found = anywhere(text);
    tests.push((row) => found.test(row.text) || found.test(row.json));
  }
  return (row) => row.type === "feed" || tests.every((test) => test(row));
}

/** The command that shows the same in a terminal. @param {string} subject */
export const natsSub = (subject) => `nats sub '${subject}'`;
