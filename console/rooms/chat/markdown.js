/** A message as it reads: its Markdown as elements. Texts become text nodes, whatever is in them. */

import { Icon } from "../../parts/icons.js";
import { html, useState } from "../../vendor/preact.js";
import { parse } from "./markdown-parse.js";

/** @typedef {import("./markdown-parse.js").Block} Block */
/** @typedef {import("./markdown-parse.js").Inline} Inline */

const COPIED_MS = 2_000;

/** @param {{ language: string, text: string }} props */
function Code({ language, text }) {
  const [says, setSays] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSays("Copied");
    } catch {
      setSays("Not copied");
    }
    setTimeout(() => setSays(""), COPIED_MS);
  };
  return html`
    <div class="code" data-language=${language || undefined}>
      <button type="button" class="icon-button copy" aria-label="Copy code" title=${says || "Copy"} onClick=${copy}><${Icon} name=${says === "Copied" ? "check" : "copy"} size=${16} /></button>
      <span class="visually-hidden" role="status" data-says=${says}></span>
      <pre tabindex="0"><code>${text}</code></pre>
    </div>
  `;
}

/** @param {Inline} node @returns {any} */
function inline(node) {
  if (node.type === "text") return node.text;
  if (node.type === "code") return html`<code>${node.text}</code>`;
  const children = node.children.map(inline);
  if (node.type !== "link") return html`<${node.type}>${children}<//>`;
  const outside = !node.href.startsWith("#");
  return html`<a href=${node.href} target=${outside ? "_blank" : undefined} rel=${outside ? "noopener noreferrer nofollow" : undefined}>${children}</a>`;
}

/** @param {Block} node @returns {any} */
function block(node) {
  switch (node.type) {
    case "code":
      return html`<${Code} language=${node.language} text=${node.text} />`;
    case "heading":
      // Below the titles of the page.
      return html`<p class="heading" role="heading" aria-level=${Math.min(6, node.level + 2)} data-level=${node.level}>${node.children.map(inline)}</p>`;
    case "quote":
      return html`<blockquote>${node.children.map(block)}</blockquote>`;
    case "list": {
      const items = node.items.map((item) => html`<li>${item.map((each) => (item.length === 1 && each.type === "paragraph" ? each.children.map(inline) : block(each)))}</li>`);
      return node.ordered ? html`<ol start=${node.start}>${items}</ol>` : html`<ul>${items}</ul>`;
    }
    case "table":
      return html`
        <div class="table" tabindex="0">
          <table>
            <thead><tr>${node.head.map((cell, column) => html`<th data-align=${node.align[column]}>${cell.map(inline)}</th>`)}</tr></thead>
            <tbody>${node.rows.map((row) => html`<tr>${row.map((cell, column) => html`<td data-align=${node.align[column]}>${cell.map(inline)}</td>`)}</tr>`)}</tbody>
          </table>
        </div>
      `;
    case "rule":
      return html`<hr />`;
    default:
      return html`<p>${node.children.map(inline)}</p>`;
  }
}

/** @param {{ text: string }} props */
export const Markdown = ({ text }) => parse(text).map(block);
