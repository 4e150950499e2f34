/**
 * Markdown as it is written in chats, as a tree: the useful part of CommonMark 0.31 and of GitHub's tables. No page.
 *
 * It gives texts and names of what they are, never markup, and it takes time in proportion to the text, whatever is in
 * it. What it does not know stays as it was written, and so does every line break.
 */

/**
 * @typedef {{ type: "text", text: string }
 *   | { type: "code", text: string }
 *   | { type: "strong" | "em" | "del", children: Inline[] }
 *   | { type: "link", href: string, children: Inline[] }} Inline
 */

/**
 * @typedef {{ type: "paragraph", children: Inline[] }
 *   | { type: "heading", level: number, children: Inline[] }
 *   | { type: "code", language: string, text: string }
 *   | { type: "quote", children: Block[] }
 *   | { type: "list", ordered: boolean, start: number, items: Block[][] }
 *   | { type: "table", head: Inline[][], rows: Inline[][][], align: string[] }
 *   | { type: "rule" }} Block
 */

const DEEPEST = 8;
const FARTHEST = 2_000;

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]{0,30})[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const BULLET = /^( {0,3})([-*+])( +)(?=\S)/;
const NUMBER = /^( {0,3})(\d{1,9})([.)])( +)(?=\S)/;
const DELIMITERS = /^ {0,3}\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
const SCHEME = /^(?:https?:\/\/|mailto:|#\/)/i;
const ESCAPED = /[!-/:-@[-`{-~]/;
const BARE = /https?:\/\/[^\s<>"'`]+/y;

/** @param {string} text @returns {Block[]} */
export function parse(text) {
  return blocks(text.replace(/\r\n?/g, "\n").split("\n"), 0);
}

/** @param {string} line */
const isBlank = (line) => line.trim() === "";

/** Whether a line begins something else than a paragraph. @param {string} line */
const begins = (line) => FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || BULLET.test(line) || NUMBER.test(line);

/** @param {string} line @returns {{ indent: number, ordered: boolean, start: number, mark: string } | undefined} */
function itemOf(line) {
  const bullet = BULLET.exec(line);
  if (bullet && !RULE.test(line)) return { indent: bullet[0].length, ordered: false, start: 1, mark: bullet[2] };
  const number = NUMBER.exec(line);
  return number ? { indent: number[0].length, ordered: true, start: Number(number[2]), mark: number[3] } : undefined;
}

/** @param {string} line */
const indentOf = (line) => line.length - line.trimStart().length;

/** @param {string[]} lines @param {number} depth @returns {Block[]} */
function blocks(lines, depth) {
  if (depth > DEEPEST) return [{ type: "paragraph", children: [{ type: "text", text: lines.join("\n") }] }];
  /** @type {Block[]} */
  const found = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    const from = at;
    if (isBlank(line)) {
      at += 1;
      continue;
    }
    const fence = FENCE.exec(line);
    const heading = HEADING.exec(line);
    const item = itemOf(line);
    if (fence) {
      const indent = indentOf(line);
      const isEnd = (/** @type {string} */ each) => each.trim().startsWith(fence[1]) && /^ {0,3}([`~])\1*\s*$/.test(each);
      at += 1;
      while (at < lines.length && !isEnd(lines[at])) at += 1;
      // One that is not closed yet goes on to the end: it is being written.
      const inside = lines.slice(from + 1, at).map((each) => each.slice(Math.min(indent, indentOf(each))));
      at += 1;
      found.push({ type: "code", language: fence[2], text: inside.join("\n") });
    } else if (heading) {
      at += 1;
      found.push({ type: "heading", level: heading[1].length, children: inline(heading[2]) });
    } else if (RULE.test(line)) {
      at += 1;
      found.push({ type: "rule" });
    } else if (QUOTE.test(line)) {
      while (at < lines.length && QUOTE.test(lines[at])) at += 1;
      found.push({ type: "quote", children: blocks(lines.slice(from, at).map((each) => each.replace(QUOTE, "")), depth + 1) });
    } else if (item) {
      const items = [];
      while (at < lines.length) {
        const next = itemOf(lines[at]);
        if (!next || next.ordered !== item.ordered || next.mark !== item.mark) break;
        const inside = [lines[at].slice(next.indent)];
        at += 1;
        while (at < lines.length) {
          const each = lines[at];
          const goesOn = isBlank(each)
            ? at + 1 < lines.length && !isBlank(lines[at + 1]) && indentOf(lines[at + 1]) >= Math.min(next.indent, 2)
            : indentOf(each) >= Math.min(next.indent, 2) || (!begins(each) && !isBlank(lines[at - 1]));
          if (!goesOn) break;
          inside.push(each.slice(Math.min(next.indent, indentOf(each))));
          at += 1;
        }
        items.push(blocks(inside, depth + 1));
        // A blank line may stand between two items.
        if (at + 1 < lines.length && isBlank(lines[at]) && itemOf(lines[at + 1])) at += 1;
      }
      found.push({ type: "list", ordered: item.ordered, start: item.start, items });
    } else if (line.includes("|") && at + 1 < lines.length && DELIMITERS.test(lines[at + 1]) && lines[at + 1].includes("-") && cells(line).length === cells(lines[at + 1]).length) {
      const align = cells(lines[at + 1]).map((cell) => (cell.endsWith(":") ? (cell.startsWith(":") ? "center" : "right") : ""));
      at += 2;
      while (at < lines.length && !isBlank(lines[at]) && lines[at].includes("|")) at += 1;
      const row = (/** @type {string} */ each) => align.map((_, column) => inline(cells(each)[column] ?? ""));
      found.push({ type: "table", head: row(line), rows: lines.slice(from + 2, at).map(row), align });
    } else {
      at += 1;
      while (at < lines.length && !isBlank(lines[at]) && !begins(lines[at])) at += 1;
      found.push({ type: "paragraph", children: inline(lines.slice(from, at).join("\n")) });
    }
  }
  return found;
}

/** @param {string} line */
const cells = (line) =>
  line
    .trim()
    .replace(/^\|/, "")
    .replace(/(?<!\\)\|$/, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));

/**
 * @param {string} text
 * @param {number} [depth]
 * @returns {Inline[]}
 */
function inline(text, depth = 0) {
  /** @type {Inline[]} */
  const found = [];
  let plain = "";
  let at = 0;
  const flush = () => {
    if (plain) found.push({ type: "text", text: plain });
    plain = "";
  };
  while (at < text.length) {
    const made = depth > DEEPEST ? undefined : special(text, at, depth);
    if (made && "skip" in made) plain += made.skip;
    else if (made) {
      flush();
      found.push(made.node);
    } else plain += text[at];
    at = made ? made.end : at + 1;
  }
  flush();
  return found;
}

/**
 * What begins at a place of a text, where something does.
 *
 * @param {string} text
 * @param {number} at
 * @param {number} depth
 * @returns {{ end: number, node: Inline } | { end: number, skip: string } | undefined}
 */
function special(text, at, depth) {
  const letter = text[at];
  if (letter === "\\" && ESCAPED.test(text[at + 1] ?? "")) return { end: at + 2, skip: text[at + 1] };
  if (letter === "`") return codeSpan(text, at);
  if (letter === "[" || (letter === "!" && text[at + 1] === "[")) return link(text, letter === "!" ? at + 1 : at, depth);
  if (letter === "h" && !/\w/.test(text[at - 1] ?? "")) return bareLink(text, at);
  if (letter === "*" || letter === "_" || letter === "~") return emphasis(text, at, depth);
  return undefined;
}

/** @param {string} text @param {number} at */
function codeSpan(text, at) {
  let end = at;
  while (text[end] === "`") end += 1;
  const ticks = text.slice(at, end);
  const near = text.slice(end, end + FARTHEST);
  let close = near.indexOf(ticks);
  while (close >= 0 && (near[close + ticks.length] === "`" || near[close - 1] === "`")) close = near.indexOf(ticks, close + ticks.length + 1);
  if (close < 0) return { end, skip: ticks };
  const inside = near.slice(0, close);
  const padded = /^ .*[^ ].* $/s.test(inside) ? inside.slice(1, -1) : inside;
  return { end: end + close + ticks.length, node: /** @type {Inline} */ ({ type: "code", text: padded }) };
}

/** @param {string} text @param {number} at  of the bracket @param {number} depth */
function link(text, at, depth) {
  const found = /^\[([^\]\n]{0,500})\]\(\s*<?([^\s<>]{1,2000}?)>?(?:\s+"[^"\n]{0,500}")?\s*\)/.exec(text.slice(at, at + FARTHEST));
  if (!found || !SCHEME.test(found[2])) return undefined;
  // What stands in a link is no link.
  const children = inline(found[1], Math.max(depth, DEEPEST - 1)).flatMap((each) => (each.type === "link" ? each.children : [each]));
  return { end: at + found[0].length, node: /** @type {Inline} */ ({ type: "link", href: found[2], children }) };
}

/** @param {string} text @param {number} at */
function bareLink(text, at) {
  BARE.lastIndex = at;
  const found = BARE.exec(text)?.[0].slice(0, FARTHEST).replace(/[.,;:!?)\]}*_~]+$/, "");
  if (!found || found.length < 9) return undefined;
  return { end: at + found.length, node: /** @type {Inline} */ ({ type: "link", href: found, children: [{ type: "text", text: found }] }) };
}

/** @param {string} text @param {number} at @param {number} depth */
function emphasis(text, at, depth) {
  const letter = text[at];
  let end = at;
  while (text[end] === letter) end += 1;
  const run = end - at;
  const whole = { end, skip: text.slice(at, end) };
  const size = letter === "~" ? 2 : Math.min(run, 2);
  const opens = /\S/.test(text[at + size] ?? "") && (letter !== "_" || !/\w/.test(text[at - 1] ?? ""));
  if (!opens || run > 3 || (letter === "~" && run !== 2)) return whole;
  const mark = letter.repeat(size);
  const near = text.slice(at + size, at + size + FARTHEST);
  let close = near.indexOf(mark, 1);
  while (close >= 0 && !closes(near, close, size)) close = near.indexOf(mark, close + 1);
  if (close < 0) return whole;
  // Of three, the two that stand outside are taken, so that one is left on each side within.
  const past = size === 2 && near[close + size] === letter ? close + 1 : close;
  const type = letter === "~" ? "del" : size === 2 ? "strong" : "em";
  return { end: at + size + past + size, node: /** @type {Inline} */ ({ type, children: inline(near.slice(0, past), depth + 1) }) };
}

/** Whether the marks at a place end an emphasis. @param {string} near @param {number} at @param {number} size */
function closes(near, at, size) {
  const letter = near[at];
  if (/\s/.test(near[at - 1] ?? " ")) return false;
  if (size === 1 && (near[at + 1] === letter || near[at - 1] === letter)) return false;
  return letter !== "_" || !/\w/.test(near[at + size] ?? "");
}
