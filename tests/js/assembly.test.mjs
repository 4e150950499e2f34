// A message put together from its pieces: the same cases as in tests/unit/daena_mesh/test_assembly.py.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Assembly } from "../../sdk/js/assembly.js";

/** @param {...[string, number, string]} pieces */
const taken = (...pieces) => {
  const assembly = new Assembly();
  for (const [run, index, text] of pieces) assembly.take({ run, index, text });
  return assembly;
};

describe("a message in the making", () => {
  test("is empty at first", () => assert.equal(new Assembly().text, ""));

  test("is the same in whatever order and however often its pieces come", () => {
    const texts = ["Hel", "lo", "", " wor", "ld", "!"];
    for (let round = 0; round < 200; round += 1) {
      const pieces = [...texts, ...texts].map((text, at) => ({ run: "a", index: at % texts.length, text }));
      const assembly = new Assembly();
      while (pieces.length > 0) {
        const [piece] = pieces.splice(Math.floor(Math.random() * pieces.length), 1);
        assembly.take(piece);
        if (round % 2) assembly.text; // what is read in between changes nothing
      }
      assert.equal(assembly.text, "Hello world!");
    }
  });

  test("begins anew with another run, and ignores the older one from then on", () => {
    const assembly = taken(["a", 0, "Hel"], ["a", 1, "lo"]);
    assert.equal(assembly.take({ run: "b", index: 3, text: "from the middle of an unknown run" }), false);
    assert.equal(assembly.text, "Hello");
    assert.equal(assembly.take({ run: "b", index: 0, text: "Good" }), true);
    assert.equal(assembly.take({ run: "a", index: 2, text: "late" }), false);
    assert.equal(assembly.take({ run: "a", index: 0, text: "late" }), false);
    assert.equal(assembly.take({ run: "b", index: 1, text: " day" }), true);
    assert.equal(assembly.take({ run: "b", index: 1, text: " day" }), false);
    assert.equal(assembly.text, "Good day");
  });

  test("is shown from the middle on where the beginning is missing, until that comes", () => {
    const assembly = taken(["a", 3, "from"], ["a", 4, " the middle"]);
    assert.equal(assembly.text, "from the middle");
    for (const index of [1, 2, 0]) assembly.take({ run: "a", index, text: `${index} ` });
    assert.equal(assembly.text, "0 1 2 from the middle");
  });

  test("is put together from pieces that do not count, too", () => {
    const assembly = new Assembly();
    for (const piece of [{ text: "a" }, { text: "b", index: "x" }, { text: "c", index: -1, run: "" }, { text: { deep: 1 } }]) assembly.take(piece);
    assert.equal(assembly.text, "abc");
  });

  test("grows without being put together anew for each of 20,000 pieces", () => {
    const assembly = new Assembly();
    let last = "";
    for (let index = 0; index < 20_000; index += 1) {
      assembly.take({ run: "a", index, text: "x" });
      last = assembly.text;
    }
    assert.equal(last.length, 20_000);
  });
});
