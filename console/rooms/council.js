/** The room of councils: what is proposed, who votes how, and what was decided, as it comes. */

import * as api from "../api.js";
import { useRoving } from "../parts/roving.js";
import { Time } from "../parts/small.js";
import { Empty, Loading, Problem } from "../parts/states.js";
import { href } from "../router.js";
import { onEvents, onGap } from "../store/events.js";
import { html, signal, useEffect } from "../vendor/preact.js";
import { Minutes, standOf, tally } from "./council/minutes.js";

const PAGE = 500;
const SUBJECTS = ["council.>"];

let minutes = new Minutes();
const version = signal(0);
const asked = signal({ loaded: false, loading: false, problem: "", before: "", more: false });

/** @param {{ older?: boolean }} [options] */
async function load({ older = false } = {}) {
  if (asked.peek().loading) return;
  asked.value = { ...asked.peek(), loading: true, problem: "" };
  try {
    const page = await api.listEvents({ subject: SUBJECTS, limit: PAGE, before: older ? asked.peek().before : undefined });
    minutes.add(page.events);
    asked.value = { loaded: true, loading: false, problem: "", before: page.previous, more: page.more };
  } catch (error) {
    asked.value = { ...asked.peek(), loading: false, problem: error instanceof Error ? error.message : String(error) };
  }
  version.value += 1;
}

onEvents((events) => {
  const mine = events.filter(({ event_type }) => event_type.startsWith("council."));
  if (mine.length === 0) return;
  minutes.add(mine);
  version.value += 1;
});

onGap(() => {
  minutes = new Minutes();
  asked.value = { ...asked.peek(), loaded: false };
  load();
});

/** @type {Record<string, string>} */
const STANDS = { open: "Open", accepted: "Accepted", rejected: "Rejected", decided: "Decided" };

/** @param {{ item: import("./council/minutes.js").Item }} props */
function Votes({ item }) {
  const counts = tally(item);
  const all = item.votes.size;
  const said = [`${counts.for} for`, `${counts.against} against`, ...(counts.other ? [`${counts.other} other`] : [])].join(", ");
  return html`
    <div class="votes">
      <div class="tally" role="img" aria-label=${said}>
        ${["for", "against", "other"].map((way) => html`<span key=${way} data-way=${way} style=${{ flexGrow: /** @type {any} */ (counts)[way] / all }}></span>`)}
      </div>
      <span class="words" aria-hidden="true">${said}</span>
      <details>
        <summary>Who voted how</summary>
        <ul>${[...item.votes].map(([who, choice]) => html`<li key=${who}><span class="name">${who}</span> ${choice}</li>`)}</ul>
      </details>
    </div>
  `;
}

/** @param {{ item: import("./council/minutes.js").Item, named: boolean }} props */
function Card({ item, named }) {
  const stand = standOf(item);
  const { decision } = item;
  return html`
    <li class=${item.kind === "note" ? "remark" : "proposal"} data-stand=${stand} data-council=${item.council}>
      <header>
        ${item.title && html`<h3>${item.title}</h3>`}
        ${stand && html`<span class="badge" data-stand=${stand}>${STANDS[stand]}</span>`}
      </header>
      ${item.text && html`<p class="text">${item.text}</p>`}
      ${item.votes.size > 0 && html`<${Votes} item=${item} />`}
      ${decision &&
      html`<p class="decision"><strong>${decision.outcome}</strong>${decision.text && ` · ${decision.text}`}${decision.by && html` <span class="by">decided by ${decision.by}</span>`}</p>`}
      <footer>${named && html`<span>${item.council}</span>`}${item.by && html`<span>${item.kind === "proposal" ? "proposed by " : ""}${item.by}</span>`}<${Time} at=${item.at} /></footer>
    </li>
  `;
}

/** @param {{ path: string[] }} props */
export default function Council({ path }) {
  void version.value;
  const { loaded, problem, more, loading } = asked.value;
  useEffect(() => {
    if (!asked.peek().loaded) load();
  }, []);
  const list = useRoving("summary");
  const [chosen = ""] = path;
  const { councils } = minutes;
  const items = minutes.items.filter(({ council }) => !chosen || council === chosen);
  const open = items.filter((item) => standOf(item) === "open").length;
  return html`
    <section id="council" class="pane" aria-labelledby="council-title">
      <header class="pane-head"><h2 id="council-title">Council</h2><span class="count">${open > 0 && `${open} open`}</span></header>
      ${councils.length > 1 &&
      html`<nav class="councils" aria-label="Councils">
        <a class="chip" href=${href("council")} aria-current=${chosen ? undefined : "page"}>All</a>
        ${councils.slice(0, 50).map((id) => html`<a class="chip" key=${id} href=${href("council", [id])} aria-current=${id === chosen ? "page" : undefined}>${id}</a>`)}
      </nav>`}
      ${problem && items.length === 0 && html`<${Problem} title="The councils could not be read" text=${problem} retry=${load} />`}
      ${!loaded && !problem && items.length === 0 && html`<${Loading} label="Loading councils" />`}
      ${loaded &&
      items.length === 0 &&
      html`<${Empty} title="No proposals yet"><p>What councils propose and decide shows here as it comes:</p><code>mesh emit council.board.update '{"update": {"proposal": "Meet at noon"}}'</code><//>`}
      <div class="minutes" tabindex="0" role="group" aria-label="Minutes">
        <ol ref=${list} aria-label="Proposals and decisions, newest first">${items.map((item) => html`<${Card} key=${item.council + item.kind + item.key} item=${item} named=${councils.length > 1} />`)}</ol>
        ${more && items.length > 0 && html`<button type="button" class="button" disabled=${loading} onClick=${() => load({ older: true })}>Older</button>`}
      </div>
    </section>
  `;
}
