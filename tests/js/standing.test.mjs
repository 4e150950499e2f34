// Where a client stands, by the vectors that hold the client in Python too.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Positions, backoff } from "../../sdk/js/mesh.js";

const vectors = JSON.parse(readFileSync(new URL("../vectors/standing.json", import.meta.url), "utf8"));

for (const { name, since, steps } of vectors.stories) {
  test(name, () => {
    const positions = new Positions(since);
    for (const step of steps) {
      if (step.take) {
        const [cursor, prev] = step.take;
        assert.equal(positions.take({ cursor: cursor ?? undefined, prev: prev ?? undefined }), step.is, `${cursor} after ${prev}`);
      } else if (step.start) positions.start(step.start);
      else if (step.skip) positions.skip(step.skip);
      else assert.equal(positions.since, step.since);
    }
  });
}

test("a bounded number of cursors is remembered", () => {
  const { upTo, known, new: fresh } = vectors.remembers;
  const positions = new Positions("");
  for (let seq = 2; seq <= upTo; seq += 2) positions.take({ cursor: `Rk3f-${seq}` });
  assert.equal(positions.take({ cursor: known }), "known");
  assert.equal(positions.take({ cursor: fresh }), "new");
});

test("the wait grows to a ceiling", () => {
  for (const [attempt, chance, wait] of vectors.backoff.waits) assert.equal(backoff(attempt, () => chance), wait);
});
