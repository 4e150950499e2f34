/** What is wanted of all events, and from when on. */

import { Icon } from "../../parts/icons.js";
import { agents } from "../../store/world.js";
import { html, useEffect, useState } from "../../vendor/preact.js";
import { countOf, isPattern } from "./filter.js";

const TYPED_MS = 250;
const MINUTE_MS = 60_000;
const AGO = [
  { says: "5 min ago", ms: 5 * MINUTE_MS },
  { says: "1 h ago", ms: 60 * MINUTE_MS },
  { says: "1 day ago", ms: 24 * 60 * MINUTE_MS },
];

/**
 * A field that tells what was typed once that rests for a moment.
 *
 * @param {{ id: string, label: string, value: string, onValue: (value: string) => void, invalid?: string } & Record<string, any>} props
 */
function Field({ id, label, value, onValue, invalid, ...more }) {
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  useEffect(() => {
    if (typed === value) return undefined;
    const timer = setTimeout(() => onValue(typed.trim()), TYPED_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return html`
    <label class="field" for=${id}>
      <span>${label}</span>
      <input id=${id} ...${more} value=${typed} autocomplete="off" spellcheck=${false} aria-invalid=${invalid ? "true" : undefined} aria-describedby=${invalid ? `${id}-wrong` : undefined} onInput=${(/** @type {any} */ { target }) => setTyped(target.value)} />
      ${invalid && html`<span id=${`${id}-wrong`} class="wrong">${invalid}</span>`}
    </label>
  `;
}

/**
 * @param {object} props
 * @param {import("./filter.js").Filter} props.filter
 * @param {(change: Partial<import("./filter.js").Filter>) => void} props.onFilter
 * @param {string[]} props.types
 */
export function Filters({ filter, onFilter, types }) {
  const domains = [...new Set(types.map((type) => type.split(".", 1)[0]))].sort();
  const known = filter.type && !types.includes(filter.type) && !domains.includes(filter.type) ? [filter.type] : [];
  const wrong = filter.subject && !isPattern(filter.subject) ? "Not a subject such as chat.*.message or agent.>" : "";
  return html`
    <div class="filters" role="search" aria-label="Filter events">
      <label class="field" for="feed-filter">
        <span>Type</span>
        <select id="feed-filter" value=${filter.type} onChange=${(/** @type {any} */ { target }) => onFilter({ type: target.value })}>
          <option value="">All events</option>
          ${known.map((type) => html`<option value=${type}>${type}</option>`)}
          ${domains.map(
            (domain) => html`
              <optgroup label=${domain} key=${domain}>
                <option value=${domain}>All of ${domain}</option>
                ${types.filter((type) => type.startsWith(`${domain}.`)).map((type) => html`<option value=${type}>${type}</option>`)}
              </optgroup>
            `,
          )}
        </select>
      </label>
      <${Field} id="feed-subject" label="Subject" class="mono" placeholder="chat.*.message" value=${filter.subject} invalid=${wrong} onValue=${(/** @type {string} */ subject) => onFilter({ subject })} />
      <${Field} id="feed-agent" label="Agent" placeholder="anyone" list="feed-agents" value=${filter.agent} onValue=${(/** @type {string} */ agent) => onFilter({ agent })} />
      <datalist id="feed-agents">${agents.value.slice(0, 200).map(({ id }) => html`<option value=${id} />`)}</datalist>
      <${Field} id="feed-text" label="Text" type="search" placeholder="anywhere in it" value=${filter.text} onValue=${(/** @type {string} */ text) => onFilter({ text })} />
      <label class="check inline"><input type="checkbox" checked=${filter.pieces} onChange=${(/** @type {any} */ { target }) => onFilter({ pieces: target.checked })} /> Every piece</label>
      ${countOf(filter) > 0 &&
      html`<button type="button" class="text-button" onClick=${() => onFilter({ type: "", subject: "", agent: "", text: "", pieces: false })}>Clear</button>`}
    </div>
  `;
}

/** A time as `<input type="datetime-local">` has it. @param {Date} date */
const local = (date) => new Date(date.getTime() - date.getTimezoneOffset() * MINUTE_MS).toISOString().slice(0, 19);

/**
 * @param {object} props
 * @param {(start: import("./source.js").Start) => void} props.onTravel
 * @param {() => void} props.onClose
 * @param {string} [props.at]
 */
export function Travel({ onTravel, onClose, at }) {
  const [time, setTime] = useState(() => local(at ? new Date(at) : new Date(Date.now() - 5 * MINUTE_MS)));
  const [cursor, setCursor] = useState("");
  /** @param {SubmitEvent} event */
  const go = (event) => {
    event.preventDefault();
    const date = new Date(time);
    if (cursor.trim()) onTravel({ since: cursor.trim() });
    else if (!Number.isNaN(date.getTime())) onTravel({ at: date.toISOString() });
  };
  return html`
    <form class="travel" aria-label="Travel in time" onSubmit=${go}>
      <div class="ago">${AGO.map(({ says, ms }) => html`<button type="button" class="chip" key=${says} onClick=${() => onTravel({ at: new Date(Date.now() - ms).toISOString() })}>${says}</button>`)}</div>
      <label class="field" for="travel-time"><span>From</span><input id="travel-time" type="datetime-local" step="1" value=${time} onInput=${(/** @type {any} */ { target }) => setTime(target.value)} /></label>
      <label class="field" for="travel-cursor"><span>or behind a cursor</span><input id="travel-cursor" class="mono" placeholder="Rk3f9ab-120" autocomplete="off" spellcheck=${false} value=${cursor} onInput=${(/** @type {any} */ { target }) => setCursor(target.value)} /></label>
      <button type="submit" class="button small">Go</button>
      <button type="button" class="icon-button" aria-label="Close time travel" onClick=${onClose}><${Icon} name="close" /></button>
    </form>
  `;
}
