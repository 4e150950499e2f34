// Many topics over one socket: followed once each, resumed each from its own position.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { open } from "../../sdk/js/mesh.js";

class FakeSocket {
  /** @type {FakeSocket[]} */
  static made = [];
  static get last() {
    return FakeSocket.made.at(-1);
  }
  constructor(url) {
    this.url = url;
    this.readyState = 0;
    this.sent = [];
    FakeSocket.made.push(this);
  }
  /** Take what was sent so far. */
  get took() {
    return this.sent.splice(0).map(({ type, topic, since, history, types }) => JSON.parse(JSON.stringify({ type, topic, since, history, types })));
  }
  hello() {
    this.readyState = 1;
    this.receive({ event_type: "connection", payload: { status: "connected", socket_id: "s", edge: "e" } });
  }
  greet(topic, more = {}) {
    const payload = { status: "connected", connection_id: topic, recovered: true, cursors: {}, ...more };
    this.receive({ event_type: "connection", payload });
  }
  receive(frame) {
    this.onmessage({ data: JSON.stringify(frame) });
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  lose(code = 1006) {
    this.readyState = 3;
    this.onclose({ code, reason: "" });
  }
  close() {}
}

const settle = async () => {
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
};

const event = (topic, seq, prev, type = "chat.message") => ({
  topic,
  event_type: type,
  cursor: `Rk3f-${seq}`,
  ...(prev && { prev: `Rk3f-${prev}` }),
  payload: {},
});

async function opened(t, options = {}) {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  const random = mock.method(Math, "random", () => 0.5);
  FakeSocket.made = [];
  const mesh = open({ base: "http://mesh:8000/behind/", WebSocket: FakeSocket, ...options });
  const errors = [];
  mesh.on("error", (error) => errors.push(error));
  t.after(() => {
    mesh.close();
    random.mock.restore();
    mock.timers.reset();
  });
  await settle();
  const again = async () => {
    FakeSocket.last.lose();
    mock.timers.tick(20_000);
    await settle();
  };
  return { mesh, errors, again };
}

const heardBy = (following, type = "*") => {
  const heard = [];
  following.on(type, (event) => heard.push(event.cursor ?? event.reason));
  return heard;
};

test("topics are subscribed to once there is a socket, and each resumes from a position of its own", async (t) => {
  const { mesh, again } = await opened(t);
  assert.equal(FakeSocket.last.url, "ws://mesh:8000/behind/ws");
  const one = mesh.follow("chat_one", { history: 5, types: ["chat.message"] });
  const two = mesh.follow("agent_two");
  const heard = [heardBy(one), heardBy(two)];
  assert.deepEqual(FakeSocket.last.took, []);
  FakeSocket.last.hello();
  assert.equal(mesh.state.state, "connected");
  assert.equal(one.state.state, "connecting");
  assert.deepEqual(FakeSocket.last.took, [
    { type: "subscribe", topic: "chat_one", history: 5, types: ["chat.message"] },
    { type: "subscribe", topic: "agent_two" },
  ]);
  FakeSocket.last.greet("chat_one", { cursors: { R: "Rk3f-3" } });
  FakeSocket.last.receive(event("chat_one", 4, 3));
  assert.equal(one.state.state, "connected");
  assert.equal(two.state.state, "connecting");
  FakeSocket.last.greet("agent_two", { cursors: { R: "Rk3f-9" } });
  FakeSocket.last.receive(event("agent_two", 10, 9));
  assert.deepEqual(heard, [["Rk3f-4"], ["Rk3f-10"]]);
  await again();
  assert.equal(one.state.state, "recovering");
  FakeSocket.last.hello();
  assert.deepEqual(FakeSocket.last.took, [
    { type: "subscribe", topic: "chat_one", since: "Rk3f-4", types: ["chat.message"] },
    { type: "subscribe", topic: "agent_two", since: "Rk3f-10" },
  ]);
  FakeSocket.last.greet("chat_one", { recovered: false, cursors: { R: "Rk3f-4" } });
  assert.deepEqual([one.state.state, one.state.reason], ["recovering", "catching up"]);
  FakeSocket.last.receive(event("chat_one", 7));
  FakeSocket.last.greet("chat_one", { cursors: { R: "Rk3f-7" } });
  assert.equal(one.state.state, "connected");
  assert.deepEqual(heard, [["Rk3f-4", "Rk3f-7"], ["Rk3f-10"]]);
  assert.equal(one.since, "Rk3f-7");
});

test("a topic is followed once, until the last who does is gone", async (t) => {
  const { mesh } = await opened(t);
  FakeSocket.last.hello();
  const [one, other] = [mesh.follow("chat_s1"), mesh.follow("chat_s1", { types: ["chat.delta"] })];
  const heard = [heardBy(one), heardBy(other)];
  assert.deepEqual(FakeSocket.last.took, [{ type: "subscribe", topic: "chat_s1" }]);
  FakeSocket.last.greet("chat_s1");
  FakeSocket.last.receive(event("chat_s1", 1));
  FakeSocket.last.receive(event("chat_s1", 2, 1, "chat.delta"));
  one.close();
  one.close();
  FakeSocket.last.receive(event("chat_s1", 3, 2, "chat.delta"));
  assert.deepEqual(heard, [["Rk3f-1", "Rk3f-2"], ["Rk3f-2", "Rk3f-3"]]);
  assert.deepEqual(FakeSocket.last.took, []);
  other.close();
  assert.deepEqual(FakeSocket.last.took, [{ type: "unsubscribe", topic: "chat_s1" }]);
});

test("who follows anew hears nothing of what was followed before", async (t) => {
  const { mesh } = await opened(t);
  FakeSocket.last.hello();
  mesh.follow("chat_s1").close();
  const anew = mesh.follow("chat_s1");
  const heard = heardBy(anew);
  FakeSocket.last.greet("chat_s1");
  FakeSocket.last.receive(event("chat_s1", 1));
  assert.deepEqual([heard, anew.state.state], [[], "connecting"]);
  FakeSocket.last.greet("chat_s1", { status: "disconnected" });
  FakeSocket.last.greet("chat_s1", { cursors: { R: "Rk3f-1" } });
  FakeSocket.last.receive(event("chat_s1", 2, 1));
  assert.deepEqual([heard, anew.state.state], [["Rk3f-2"], "connected"]);
});

test("a hole in one topic begins that one anew, and no other", async (t) => {
  const { mesh } = await opened(t);
  FakeSocket.last.hello();
  const [one, two] = [mesh.follow("chat_one"), mesh.follow("chat_two")];
  const heard = [heardBy(one), heardBy(two)];
  for (const topic of ["chat_one", "chat_two"]) FakeSocket.last.greet(topic, { cursors: { R: "Rk3f-3" } });
  FakeSocket.last.took;
  FakeSocket.last.receive(event("chat_one", 6, 5));
  assert.deepEqual(FakeSocket.last.took, [
    { type: "unsubscribe", topic: "chat_one" },
    { type: "subscribe", topic: "chat_one", since: "Rk3f-3" },
  ]);
  assert.deepEqual([one.state.state, two.state.state], ["recovering", "connected"]);
  FakeSocket.last.receive(event("chat_one", 7, 6));
  FakeSocket.last.receive(event("chat_two", 4, 3));
  FakeSocket.last.greet("chat_one", { status: "disconnected" });
  FakeSocket.last.greet("chat_one", { recovered: false, cursors: { R: "Rk3f-3" } });
  for (const seq of [5, 6, 7]) FakeSocket.last.receive(event("chat_one", seq));
  FakeSocket.last.greet("chat_one", { cursors: { R: "Rk3f-7" } });
  assert.deepEqual(heard, [["Rk3f-5", "Rk3f-6", "Rk3f-7"], ["Rk3f-4"]]);
  assert.equal(FakeSocket.made.length, 1);
  assert.equal(one.state.state, "connected");
});

test("a topic that is refused fails alone, and says why", async (t) => {
  const { mesh, errors } = await opened(t);
  FakeSocket.last.hello();
  const [one, two] = [mesh.follow("chat_one"), mesh.follow("chat_two")];
  const [{ id }] = FakeSocket.last.sent;
  FakeSocket.last.receive({ event_type: "error", payload: { id, code: "forbidden", message: "not for you" } });
  FakeSocket.last.greet("chat_two");
  assert.deepEqual([one.state.state, one.state.reason, two.state.state], ["failed", "not for you", "connected"]);
  assert.equal(errors.length, 1);
  one.close();
  const end = FakeSocket.last.sent.at(-1);
  FakeSocket.last.receive({ event_type: "error", payload: { id: end.id, code: "bad_topic", message: "not followed" } });
  const anew = mesh.follow("chat_one");
  FakeSocket.last.greet("chat_one");
  assert.equal(anew.state.state, "connected");
});

test("what cannot be followed is refused in words", async (t) => {
  const { mesh } = await opened(t);
  for (const name of ["chat_a b", "chat_", "nothing", "events_x", `chat_${"x".repeat(65)}`]) {
    assert.throws(() => mesh.follow(name), /there is no such topic/);
  }
});

test("a topic carries all types that anybody asks for, and each hears their own", async (t) => {
  const { mesh } = await opened(t);
  FakeSocket.last.hello();
  const tasks = heardBy(mesh.follow("events", { types: ["task.update"] }));
  FakeSocket.last.greet("events", { cursors: { R: "Rk3f-3" } });
  FakeSocket.last.receive(event("events", 4, 3, "task.update"));
  mesh.follow("events", { types: ["task.update"] });
  assert.equal(FakeSocket.last.took.length, 1);
  const all = heardBy(mesh.follow("events"));
  assert.deepEqual(FakeSocket.last.took, [
    { type: "unsubscribe", topic: "events" },
    { type: "subscribe", topic: "events", since: "Rk3f-4" },
  ]);
  FakeSocket.last.greet("events", { status: "disconnected" });
  FakeSocket.last.greet("events", { cursors: { R: "Rk3f-4" } });
  FakeSocket.last.receive(event("events", 5, 4, "chat.message"));
  FakeSocket.last.receive(event("events", 6, 5, "task.update"));
  assert.deepEqual([tasks, all], [["Rk3f-4", "Rk3f-6"], ["Rk3f-5", "Rk3f-6"]]);
});

test("gaps and recovery are told to who follows the topic", async (t) => {
  const { mesh } = await opened(t);
  FakeSocket.last.hello();
  const one = mesh.follow("chat_one", { since: "Rold-3" });
  const told = [];
  for (const type of ["gap", "recovered"]) one.on(type, (payload) => told.push([type, payload.reason]));
  FakeSocket.last.receive({ event_type: "gap", topic: "chat_one", payload: { from: "Rold-3", to: "Rk3f-0", reason: "reset" } });
  FakeSocket.last.greet("chat_one", { cursors: { R: "Rk3f-0" } });
  assert.deepEqual(told, [["gap", "reset"], ["recovered", undefined]]);
  assert.equal(one.since, "Rk3f-0");
});

test("positions are kept for each topic, also when it is left", async (t) => {
  const kept = new Map();
  const storage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
  const { mesh } = await opened(t);
  FakeSocket.last.hello();
  const one = mesh.follow("chat_one", { storage });
  FakeSocket.last.greet("chat_one");
  FakeSocket.last.receive(event("chat_one", 4));
  one.close();
  assert.deepEqual([...kept], [["mesh:/behind/ws/chat/one", "Rk3f-4"]]);
  mesh.follow("chat_one", { storage });
  assert.equal(FakeSocket.last.took.at(-1).since, "Rk3f-4");
});

test("many topics are subscribed to no faster than a server takes them", async (t) => {
  const { mesh } = await opened(t);
  for (let number = 0; number < 200; number += 1) mesh.follow(`chat_${number}`);
  FakeSocket.last.hello();
  assert.equal(FakeSocket.last.sent.length, 100);
  for (let turn = 0; turn < 120; turn += 1) mock.timers.tick(12);
  assert.equal(new Set(FakeSocket.last.sent.map(({ topic }) => topic)).size, 200);
});

test("what waited to be written is not written to the next socket", async (t) => {
  const { mesh, again } = await opened(t);
  for (let number = 0; number < 150; number += 1) mesh.follow(`chat_${number}`);
  FakeSocket.last.hello();
  await again();
  FakeSocket.last.hello();
  for (let turn = 0; turn < 120; turn += 1) mock.timers.tick(12);
  assert.equal(FakeSocket.last.sent.length, 150);
});

test("an end that a lost socket did not tell is not waited for", async (t) => {
  const { mesh, again } = await opened(t);
  FakeSocket.last.hello();
  mesh.follow("chat_s1").close();
  await again();
  const anew = mesh.follow("chat_s1");
  FakeSocket.last.hello();
  FakeSocket.last.greet("chat_s1");
  assert.equal(anew.state.state, "connected");
});

test("sends over the same socket", async (t) => {
  const { mesh } = await opened(t);
  const sent = mesh.send("chat.s1.message", { content: "hi" }, { id: "c1" });
  FakeSocket.last.hello();
  FakeSocket.last.receive({ event_type: "ack", payload: { id: "c1", cursor: "Rk3f-1", duplicate: false } });
  assert.equal((await sent).cursor, "Rk3f-1");
});

test("a topic that cannot be judged at the moment is asked for again, and once only", async (t) => {
  const { mesh } = await opened(t);
  const one = mesh.follow("chat_one");
  FakeSocket.last.hello();
  FakeSocket.last.took;
  const payload = { code: "unavailable", message: "not known yet", topic: "chat_one", id: "+chat_one", retry_after_ms: 1_000 };
  FakeSocket.last.receive({ event_type: "error", payload });
  assert.deepEqual([one.state.state, one.state.reason, one.state.retryInMs], ["connecting", "not known yet", 1_000]);
  mock.timers.tick(999);
  assert.deepEqual(FakeSocket.last.took, []);
  mock.timers.tick(1);
  assert.deepEqual(FakeSocket.last.took, [{ type: "subscribe", topic: "chat_one" }]);
  FakeSocket.last.receive({ event_type: "error", payload });
  FakeSocket.last.greet("chat_one");
  assert.equal(one.state.state, "connected");
  mock.timers.tick(2_000);
  assert.deepEqual(FakeSocket.last.took, []);
});
