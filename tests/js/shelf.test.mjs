// What React's components show: there for the first, gone after the last, the same object until something is different.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Shelf, settle } from "../../sdk/js/react/shelf.js";

class Thing {
  listeners = new Map();
  closed = 0;
  state = { state: "connecting" };
  words = [];
  on(type, listener) {
    this.listeners.set(type, listener);
    return () => this.listeners.delete(type);
  }
  tell(type, event) {
    this.listeners.get(type)?.(event);
  }
  close() {
    this.closed += 1;
  }
}

const kind = (made) => ({
  open: () => (made.push(new Thing()), made.at(-1)),
  look: ({ words, typing }, error) => ({ words: [...words], typing, error }),
});

test("what is the same is taken over", () => {
  const [item, state] = [{ a: 1 }, { state: "connected" }];
  const older = { items: [item], state, error: null };
  assert.equal(settle(null, older), older);
  assert.equal(settle(older, { items: [item], state, error: null }), older);
  const newer = settle(older, { items: [item], state: { state: "recovering" }, error: null });
  assert.notEqual(newer, older);
  assert.equal(newer.items, older.items);
  assert.notEqual(settle(older, { items: [item, item], state, error: null }).items, older.items);
});

test("a thing is opened once, for the first, and closed a moment after the last", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const own = new Thing();
  const shelf = new Shelf({}, own);
  const made = [];
  const [one, two] = [1, 2].map(() => shelf.subscribe("chat s1", kind(made), () => undefined));
  assert.equal(made.length, 1);
  one();
  one();
  mock.timers.tick(5_000);
  two();
  mock.timers.tick(999);
  const again = shelf.subscribe("chat s1", kind(made), () => undefined);
  mock.timers.tick(5_000);
  assert.deepEqual([made.length, made[0].closed], [1, 0]);
  again();
  mock.timers.tick(1_000);
  assert.equal(made[0].closed, 1);
  assert.equal(made[0].listeners.size, 0);
  mock.timers.tick(1_000);
  assert.deepEqual([shelf.size, own.closed, own.listeners.size], [0, 0, 0]);
  shelf.subscribe("chat s1", kind(made), () => undefined);
  assert.equal(made.length, 2);
  mock.timers.reset();
});

test("changes are told at once, and then once a frame", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const shelf = new Shelf({}, new Thing());
  const made = [];
  let told = 0;
  shelf.subscribe("chat s1", kind(made), () => (told += 1));
  const hold = shelf.held("chat s1");
  const before = hold.snapshot;
  assert.equal(hold.snapshot, before);
  for (const word of "abc") {
    made[0].words.push(word);
    made[0].tell("change");
    assert.deepEqual(hold.snapshot.words, made[0].words, "whoever looks sees what is");
  }
  assert.equal(told, 1);
  made[0].words.push("d");
  made[0].tell("change");
  mock.timers.tick(16);
  assert.equal(told, 2);
  mock.timers.tick(16);
  assert.equal(told, 2);
  made[0].tell("error", { code: "http-403" });
  assert.deepEqual([told, hold.snapshot.error], [3, { code: "http-403" }]);
  mock.timers.reset();
});

test("somebody who types is looked at again until they do no more", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const shelf = new Shelf({}, new Thing());
  const made = [];
  let told = 0;
  const leave = shelf.subscribe("chat s1", kind(made), () => (told += 1));
  made[0].typing = ["ada"];
  made[0].tell("change");
  mock.timers.tick(1_000);
  assert.equal(told, 2);
  made[0].typing = [];
  mock.timers.tick(1_000);
  assert.deepEqual([told, shelf.held("chat s1").snapshot.typing], [3, []]);
  mock.timers.tick(10_000);
  assert.equal(told, 3);
  leave();
  mock.timers.reset();
});

test("the token is asked of the newest function", async () => {
  const asked = [];
  const shelf = new Shelf({ base: "http://mesh.invalid/", getToken: () => asked.push("old") && null, WebSocket: Thing });
  shelf.options = { ...shelf.options, getToken: () => asked.push("new") && null };
  const leave = shelf.subscribeToMesh(() => undefined);
  await new Promise(setImmediate);
  assert.deepEqual(asked, ["new"]);
  const { mesh } = shelf.held("mesh").snapshot;
  leave();
  mesh.close();
});
