// Chats, tasks and agents: what the API told and what events tell come together, in whatever order.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Agent, Chat, Task } from "../../sdk/js/index.js";

class Following {
  static made = [];
  listeners = [];
  state = { state: "connected", reason: "", retryInMs: null, degraded: false };
  constructor(topic, options) {
    Object.assign(this, { topic, options });
    Following.made.push(this);
  }
  on(type, listener) {
    this.listeners.push([type, listener]);
  }
  tell(type, event) {
    for (const [heard, listener] of this.listeners) if (heard === type) listener(event);
  }
  close() {
    this.isClosed = true;
  }
}

/** A mesh whose API answers when the test says so. */
function source({ followed = [] } = {}) {
  Following.made = [];
  const asked = [];
  const sent = [];
  return {
    asked,
    sent,
    follow: (topic, options) => new Following(topic, options),
    follows: (topic) => followed.includes(topic),
    get: (path) => new Promise((resolve) => asked.push({ path, answer: (body, status = 200) => resolve(new Response(JSON.stringify(body), { status })) })),
    send: (subject, payload, { id }) => new Promise((resolve, reject) => sent.push({ subject, payload, id, resolve, reject })),
  };
}

const settle = () => new Promise(setImmediate);
const said = (number, content, more = {}) => ({
  event_type: "chat.message",
  subject: "chat.s1.message",
  cursor: `Rk3f-${number}`,
  payload: { sender: "scout", content, message_id: `m${number}`, ...more },
});
const contents = (chat) => chat.items.map(({ content, status }) => `${content} ${status}`);

test("a chat goes on from where the API's answer ends", async () => {
  const mesh = source();
  const chat = new Chat(mesh, "s1");
  let changes = 0;
  chat.on("change", () => (changes += 1));
  assert.equal(chat.state.state, "connecting");
  assert.equal(mesh.asked[0].path, "chat-history/sessions/s1?limit=100");
  mesh.asked[0].answer({ messages: [said(1, "one")], since: "Rk3f-1.Sp9a-0" });
  await settle();
  const [following] = Following.made;
  assert.deepEqual([following.topic, following.options], ["chat_s1", { since: "Rk3f-1.Sp9a-0" }]);
  following.tell("*", { event_type: "chat.delta", cursor: "Sp9a-1", payload: { message_id: "m2", sender: "daena", run: "a", index: 0, text: "tw" } });
  assert.deepEqual(contents(chat), ["one stored", "tw streaming"]);
  following.tell("*", said(2, "two"));
  assert.deepEqual(contents(chat), ["one stored", "two stored"]);
  assert.equal(changes, 3);
  chat.close();
  following.tell("*", said(3, "three"));
  assert.equal(changes, 3);
  assert.equal(following.isClosed, true);
});

test("a chat that others follow already misses nothing while the API is asked", async () => {
  const mesh = source({ followed: ["chat_s1"] });
  const chat = new Chat(mesh, "s1");
  const [following] = Following.made;
  following.tell("*", said(2, "two"));
  following.tell("*", said(3, "three"));
  mesh.asked[0].answer({ messages: [said(1, "one"), said(2, "two")], since: "Rk3f-2" });
  await settle();
  assert.deepEqual(contents(chat), ["one stored", "two stored", "three stored"]);
  assert.equal(Following.made.length, 1);
});

test("a chat that the API does not know begins with what the edge has", async () => {
  const mesh = source();
  new Chat(mesh, "s1", { history: 7 });
  mesh.asked[0].answer({}, 404);
  await settle();
  assert.deepEqual(Following.made[0].options, { history: 7 });
});

test("one's own message shows at once, once, and in its place", async () => {
  const mesh = source();
  const chat = new Chat(mesh, "s1", { sender: "ada" });
  mesh.asked[0].answer({ messages: [], since: "" });
  await settle();
  const sending = chat.send("hi");
  assert.deepEqual(contents(chat), ["hi sending"]);
  const [{ subject, payload, id, resolve }] = mesh.sent;
  assert.equal(subject, "chat.s1.message");
  assert.deepEqual(payload, { sender: "ada", content: "hi", message_id: id });
  const [{ key }] = chat.items;
  // A token says who one is, so it may come back from somebody else.
  Following.made[0].tell("*", said(5, "hi", { sender: "user-7", message_id: id }));
  assert.deepEqual(contents(chat), ["hi stored"]);
  resolve({ id, cursor: "Rk3f-5", duplicate: false });
  assert.equal((await sending).cursor, "Rk3f-5");
  Following.made[0].tell("*", said(4, "before"));
  assert.deepEqual(contents(chat), ["before stored", "hi stored"]);
  assert.equal(chat.items[1].key, key);
});

test("a message that failed can be sent again, or taken back", async () => {
  const mesh = source();
  const chat = new Chat(mesh, "s1");
  mesh.asked[0].answer({ messages: [], since: "" });
  await settle();
  const failing = chat.send("hi");
  mesh.sent[0].reject(Object.assign(new Error("too much waits"), { code: "full" }));
  await assert.rejects(failing, { code: "full" });
  assert.deepEqual(chat.items.map(({ status, reason }) => [status, reason]), [["failed", "too much waits"]]);
  const again = chat.send("hi", { id: chat.items[0].key });
  assert.equal(mesh.sent[1].id, mesh.sent[0].id);
  mesh.sent[1].reject(new Error("no"));
  await assert.rejects(again);
  chat.discard(chat.items[0].key);
  assert.deepEqual(chat.items, []);
});

test("what cannot be had any more by events is read anew", async () => {
  const mesh = source();
  const chat = new Chat(mesh, "s1");
  mesh.asked[0].answer({ messages: [said(1, "old")], since: "Rk3f-1" });
  await settle();
  Following.made[0].tell("gap", { from: "Sp9a-1", to: "Sp9b-0", reason: "reset" });
  assert.equal(mesh.asked.length, 1, "signals are no loss");
  Following.made[0].tell("gap", { from: "Rk3f-1", to: "Rzzz-0", reason: "reset" });
  assert.equal(Following.made[0].isClosed, true);
  mesh.asked[1].answer({ messages: [{ ...said(1, "new"), cursor: "Rzzz-1" }], since: "Rzzz-1" });
  await settle();
  assert.deepEqual(contents(chat), ["new stored"]);
  assert.deepEqual(Following.made[1].options, { since: "Rzzz-1" });
});

const update = (number, more, subject = "task.t1.update.scout") => ({
  event_type: "task.update",
  subject,
  cursor: `Rk3f-${number}`,
  payload: { status: "running", ...more },
});

test("a task is as its newest update says, wherever that came from", async () => {
  const mesh = source();
  const task = new Task(mesh, "t1");
  const [following] = Following.made;
  assert.deepEqual([following.topic, following.options], ["events", { types: ["task.update"] }]);
  assert.deepEqual([task.status, task.isOpen], ["", false]);
  following.tell("*", update(1, {}, "task.other.update"));
  assert.equal(task.status, "");
  following.tell("*", update(5, { title: "Read", progress: { done: 5 } }));
  mesh.asked[0].answer({ status: "running", title: "Old", agent_id: "other", progress: { done: 4 }, cursor: "Rk3f-4" });
  await settle();
  assert.deepEqual([task.title, task.agent, task.progress, task.isOpen], ["Read", "scout", { done: 5 }, true]);
  following.tell("*", update(6, { status: "failed", reason: "no paper" }));
  assert.deepEqual([task.status, task.reason, task.isOpen, task.title], ["failed", "no paper", false, "Read"]);
});

test("an agent is as it was told last, and lists what it works on", async () => {
  const mesh = source();
  const agent = new Agent(mesh, "scout");
  const [following] = Following.made;
  assert.equal(following.topic, "agent_scout");
  const tell = (type, number, payload) => following.tell("*", { event_type: type, subject: `agent.scout.${type}`, cursor: `Sp9a-${number}`, payload });
  tell("agent.activity", 9, { activity: "reading" });
  following.tell("*", update(1, { status: "completed" }));
  mesh.asked[0].answer({ status: "busy", activity: "older", tasks: ["t1", "t2"], cursor: "Sp9a-8", reason: null });
  await settle();
  assert.deepEqual([agent.status, agent.activity, agent.tasks], ["busy", "reading", ["t2"]]);
  tell("agent.status", 7, { status: "online" });
  assert.equal(agent.status, "busy");
  tell("agent.status", 10, { status: "offline", reason: "silent" });
  assert.deepEqual([agent.status, agent.reason], ["offline", "silent"]);
});

test("what is told before its events come is read again once they do", async () => {
  const mesh = source();
  mesh.follow = (topic, options) => Object.assign(new Following(topic, options), { state: { state: "connecting" } });
  const task = new Task(mesh, "t1");
  mesh.asked[0].answer({ status: "running", progress: { done: 0 }, cursor: "Sp9a-1" });
  await settle();
  const [following] = Following.made;
  for (const state of ["connected", "recovering", "connected"]) following.tell("state", { state });
  assert.equal(mesh.asked.length, 2);
  mesh.asked[1].answer({ status: "running", progress: { done: 3 }, cursor: "Sp9a-2" });
  await settle();
  assert.deepEqual(task.progress, { done: 3 });
});
