/** How events are put into words. Payloads come from anyone, so nothing about their shape is taken for granted. */

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const CLOCK_SECONDS = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const LONG_DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

/** @param {number} ms */
const sameDay = (ms, other = Date.now()) => new Date(ms).toDateString() === new Date(other).toDateString();

/** @param {number} ms  since 1970; NaN gives an empty text */
export const clock = (ms) => (Number.isNaN(ms) ? "" : CLOCK.format(ms));

/** @param {number} ms */
export const clockSeconds = (ms) => (Number.isNaN(ms) ? "" : CLOCK_SECONDS.format(ms));

/** The clock for today, else the day. @param {number} ms */
export const moment = (ms) => (Number.isNaN(ms) ? "" : sameDay(ms) ? CLOCK.format(ms) : DAY.format(ms));

/** A day's name for a divider. @param {number} ms */
export function dayName(ms) {
  if (sameDay(ms)) return "Today";
  return sameDay(ms, Date.now() - 86_400_000) ? "Yesterday" : LONG_DAY.format(ms);
}

/**
 * Any value as one line of text.
 *
 * @param {unknown} value
 * @param {number} [most]  characters
 */
export function short(value, most = 160) {
  const text = typeof value === "string" ? value : value === undefined || value === null ? "" : words(value);
  const line = text.slice(0, most * 4).replace(/\s+/g, " ").trim();
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}

/** An object as `state searching · query nats`; nested ones as JSON. @param {unknown} value */
function words(value) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return JSON.stringify(value);
  return Object.entries(value)
    .filter(([, each]) => each !== null)
    .map(([name, each]) => `${name} ${typeof each === "object" ? JSON.stringify(each) : each}`)
    .join(" · ");
}

/** An activity by its state, then the rest. @param {any} activity */
function stateFirst(activity) {
  if (typeof activity?.state !== "string") return activity;
  const { state, ...rest } = activity;
  return [state, short(rest)].filter(Boolean).join(" · ");
}

/** @type {Record<string, (payload: Record<string, any>) => unknown>} */
const SAYS = {
  "chat.message": ({ sender, content }) => `${short(sender, 40)}: ${short(content)}`,
  "chat.delta": ({ sender, text }) => `${short(sender, 40)} is writing${short(text) && `: ${short(text)}`}`,
  "chat.typing": ({ sender }) => `${short(sender, 40)} is typing`,
  "session.created": ({ title, session_id }) => title || session_id,
  "session.updated": ({ updates, session_id }) => updates ?? session_id,
  "session.deleted": ({ session_id }) => session_id,
  "agent.activity": ({ activity }) => stateFirst(activity),
  "agent.status": ({ status }) => status,
  "council.update": ({ update }) => update,
  "brain.status": ({ status }) => status,
  "task.update": ({ status, progress }) => [short(status), short(progress)].filter(Boolean).join(" · "),
  "presence.join": ({ who, count }) => `${short(who, 40)} joined · ${short(count)} here`,
  "presence.leave": ({ who, count }) => `${short(who, 40)} left · ${short(count)} here`,
  "system.notice": ({ text, ...rest }) => text ?? rest,
};

/**
 * What an event says, in one line.
 *
 * @param {{ event_type: string, payload?: any }} event
 */
export function summary({ event_type, payload }) {
  const known = typeof payload === "object" && payload !== null ? SAYS[event_type]?.(payload) : undefined;
  return short(known ?? payload);
}

/** A hue for a name, the same one always. @param {string} name */
export function hue(name) {
  let hash = 0;
  for (const letter of name) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) % 3600;
  return hash / 10;
}
