// Markdown in messages: what it becomes, that nothing is lost, and that no text takes long.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { parse } from "../../console/rooms/chat/markdown-parse.js";

/** A tree as short as it can be written. */
const brief = (node) => {
  if (Array.isArray(node)) return node.map(brief);
  switch (node.type) {
    case "text": return node.text;
    case "code": return { code: node.text, ...(node.language && { language: node.language }) };
    case "list": return { [node.ordered ? `ol${node.start}` : "ul"]: brief(node.items) };
    case "table": return { head: brief(node.head), rows: brief(node.rows), align: node.align };
    case "heading": return { [`h${node.level}`]: brief(node.children) };
    case "link": return { link: node.href, text: brief(node.children) };
    case "paragraph": return { p: brief(node.children) };
    case "rule": return "---";
    default: return { [node.type]: brief(node.children) };
  }
};
const texts = (node) => (Array.isArray(node) ? node.map(texts).join("") : (node.text ?? ["children", "items", "head", "rows"].map((name) => (node[name] ? texts(node[name]) : "")).join("")));

for (const [name, text, tree] of [
  ["plain text", "Hello.", [{ p: ["Hello."] }]],
  ["line breaks and spaces stay", "a\n  b \nc ", [{ p: ["a\n  b \nc "] }]],
  ["paragraphs", "a\n\n\nb", [{ p: ["a"] }, { p: ["b"] }]],
  ["emphasis", "a *b* **c** ***d*** ~~e~~ _f_", [{ p: ["a ", { em: ["b"] }, " ", { strong: ["c"] }, " ", { strong: [{ em: ["d"] }] }, " ", { del: ["e"] }, " ", { em: ["f"] }] }]],
  ["what is none", "2 * 3 * 4, snake_case_name, 7*7, a ** b, ****", [{ p: ["2 * 3 * 4, snake_case_name, 7*7, a ** b, ****"] }]],
  ["half of one, as it is being written", "**bol", [{ p: ["**bol"] }]],
  ["nested emphasis", "**a *b* c**", [{ p: [{ strong: ["a ", { em: ["b"] }, " c"] }] }]],
  ["code spans", "`a*b*` and ``c`d``", [{ p: [{ code: "a*b*" }, " and ", { code: "c`d" }] }]],
  ["a backtick alone", "it`s", [{ p: ["it`s"] }]],
  ["escapes", "\\*a\\* \\n", [{ p: ["*a* \\n"] }]],
  ["headings", "# A\n### B #\n#none", [{ h1: ["A"] }, { h3: ["B"] }, { p: ["#none"] }]],
  ["a fence", "```python\ndef f():\n    return **1**\n```\nafter", [{ code: "def f():\n    return **1**", language: "python" }, { p: ["after"] }]],
  ["a fence that is being written", "```\nhalf", [{ code: "half" }]],
  ["a fence in a fence", "````\n```\n````", [{ code: "```" }]],
  ["lists", "- a\n- b\n  - c\n- d", [{ ul: [[{ p: ["a"] }], [{ p: ["b"] }, { ul: [[{ p: ["c"] }]] }], [{ p: ["d"] }]] }]],
  ["numbers", "3. a\n4. b\n\n5. c", [{ ol3: [[{ p: ["a"] }], [{ p: ["b"] }], [{ p: ["c"] }]] }]],
  ["code in a list", "1. a\n   ```\n   x\n   ```\n2. b", [{ ol1: [[{ p: ["a"] }, { code: "x" }], [{ p: ["b"] }]] }]],
  ["what follows a list", "- a\n\nb", [{ ul: [[{ p: ["a"] }]] }, { p: ["b"] }]],
  ["no list", "-a\n2026 was\n1.5 times", [{ p: ["-a\n2026 was\n1.5 times"] }]],
  ["quotes", "> a\n> > b\nc", [{ quote: [{ p: ["a"] }, { quote: [{ p: ["b"] }] }] }, { p: ["c"] }]],
  ["rules", "a\n\n---\n* * *", [{ p: ["a"] }, "---", "---"]],
  ["tables", "| a | b |\n|---|--:|\n| 1 | `x|y` |\n| \\| |\n\nafter", [{ head: [["a"], ["b"]], rows: [[["1"], ["`x"]], [["|"], []]], align: ["", "right"] }, { p: ["after"] }]],
  ["links", "[a *b*](https://e.org/x?y=1) and <b>", [{ p: [{ link: "https://e.org/x?y=1", text: ["a ", { em: ["b"] }] }, " and <b>"] }]],
  ["bare links", "See https://e.org/a_b_c. (http://e.org/)", [{ p: ["See ", { link: "https://e.org/a_b_c", text: ["https://e.org/a_b_c"] }, ". (", { link: "http://e.org/", text: ["http://e.org/"] }, ")"] }]],
  ["images are links", "![a](https://e.org/i.png)", [{ p: [{ link: "https://e.org/i.png", text: ["a"] }] }]],
]) {
  test(name, () => assert.deepEqual(brief(parse(text)), tree));
}

describe("hostile texts", () => {
  test("lead nowhere but to pages and mail", () => {
    for (const address of ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "//e.org", "/x", "\u0001javascript:x", "java\nscript:x", "blob:x", "file:///x"]) {
      const tree = JSON.stringify(parse(`[a](${address}) <${address}> ![b](${address})`));
      assert.ok(!tree.includes('"link"'), tree);
    }
  });

  test("stay texts", () => {
    const hostile = "<img src=x onerror=\"alert(1)\"><script>alert(2)</script>${7*7}";
    assert.deepEqual(brief(parse(hostile)), [{ p: [hostile] }]);
  });

  for (const piece of ["*", "**", "_", "`", "[", "[a](", "](", "> ", "- ", "~~", "\\", "h", "http", "https://", "|", "| a\n|-\n", "* a\n", "1. ", "#", "```\n", "*a ", "**a ", "`` ", "[[a](b)", "  - "]) {
    test(`of ${JSON.stringify(piece)} many take no time and no stack`, () => {
      const text = piece.repeat(Math.ceil(60_000 / piece.length));
      const begun = process.cpuUsage();
      parse(text);
      const { user } = process.cpuUsage(begun);
      assert.ok(user < 2_000_000, `${user / 1000} ms`);
    });
  }

  test("lose nothing that is readable", () => {
    const letters = "ab \n*_`[]()#>-|1.~\\h".split("");
    let seed = 1;
    const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    for (let round = 0; round < 3_000; round += 1) {
      const text = Array.from({ length: 30 }, () => letters[Math.floor(random() * letters.length)]).join("");
      const kept = texts(parse(text)).replace(/[^ab]/g, "");
      // A link's address, the name of a fence's language, and cells beyond the table's last column alone may go.
      if (!/\]\(|```|~~~|\|/.test(text)) assert.equal(kept, text.replace(/[^ab]/g, ""), JSON.stringify(text));
    }
  });
});
