// Many clients over one hub, and hubs that come and go: each hears what it would over a socket of its own.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Hub } from "../../sdk/js/hub.js";
import { open } from "../../sdk/js/mesh.js";

/** An edge with one log. What it says is heard when the test says so, in order. */
class Edge {
  log = [];
  /** @type {Set<EdgeSocket>} */ sockets = new Set();
  asked = 0;
  seq = 0;
  /** What was on its way when somebody came may be shown to them. */ heard = 0;
  /** Who comes is let in, and told that something may be missing. */ isDegraded = false;

  publish(topic, type) {
    this.seq += 1;
    const event = { topic, event_type: type, cursor: `R1-${this.seq}`, payload: {} };
    this.log.push(event);
    for (const socket of this.sockets) socket.show(event);
  }

  get head() {
    return `R1-${this.seq}`;
  }
}

class EdgeSocket {
  readyState = 0;
  queue = [];
  follows = new Map();
  onmessage = null;
  onclose = null;

  constructor(edge) {
    this.edge = edge;
    edge.sockets.add(this);
    edge.asked += 1;
    this.say({ event_type: "connection", payload: { status: "connected" } });
  }

  say(frame) {
    this.queue.push(JSON.stringify(frame));
  }

  greet(topic, recovered, at) {
    const state = this.edge.isDegraded ? { status: "degraded", recovered: false, missing: ["S"] } : { status: "connected", recovered };
    this.say({ event_type: "connection", payload: { ...state, connection_id: topic, cursors: { R: at } } });
  }

  send(text) {
    const { type, topic, since, history, types, id } = JSON.parse(text);
    if (type === "send") this.say({ event_type: "ack", payload: { id, cursor: "R1-1", duplicate: false } });
    else if (type === "ping") this.say({ event_type: "pong" });
    else if (type === "unsubscribe") {
      this.follows.delete(topic);
      this.say({ event_type: "connection", payload: { status: "disconnected", connection_id: topic } });
    } else if (type === "subscribe") {
      const all = this.edge.log.filter((event) => event.topic === topic && (!types || types.includes(event.event_type)));
      const from = Number(since?.split("-")[1] ?? -1);
      const missed = since ? all.filter(({ cursor }) => Number(cursor.split("-")[1]) > from) : history ? all.slice(-history) : [];
      if (missed.length) {
        this.greet(topic, false, `R1-${Number(missed[0].cursor.split("-")[1]) - 1}`);
        for (const event of missed) this.say(event);
      }
      this.greet(topic, true, this.edge.head);
      this.follows.set(topic, { types, prev: this.edge.head });
    }
  }

  show(event) {
    const follow = this.follows.get(event.topic);
    if (!follow || (follow.types && !follow.types.includes(event.event_type))) return;
    this.say({ ...event, prev: follow.prev });
    follow.prev = event.cursor;
  }

  pump(most) {
    for (; most > 0 && this.queue.length && this.readyState < 2; most -= 1) {
      this.readyState = 1;
      const text = this.queue.shift();
      this.edge.heard = Math.max(this.edge.heard, Number(JSON.parse(text).cursor?.slice(3) ?? 0));
      this.onmessage?.({ data: text });
    }
  }

  lose(code = 1006, reason = "") {
    this.readyState = 3;
    this.edge.sockets.delete(this);
    this.onclose?.({ code, reason });
  }

  close() {
    this.readyState = 3;
    this.edge.sockets.delete(this);
  }
}

/** A browser whose tabs share a hub, which a test may put another one in place of. */
class Browser {
  ports = new Map();
  edge = new Edge();
  #count = 0;

  constructor() {
    this.lead();
    const browser = this;
    this.Port = class {
      readyState = 0;
      constructor(url, protocols) {
        browser.#count += 1;
        this.id = `p${browser.#count}`;
        browser.ports.set(this.id, this);
        queueMicrotask(() => browser.ports.has(this.id) && browser.hub.hello(this.id, protocols));
      }
      send(text) {
        queueMicrotask(() => browser.ports.has(this.id) && browser.hub.take(this.id, text));
      }
      close() {
        this.readyState = 3;
        browser.ports.delete(this.id);
        browser.hub.bye(this.id);
      }
      told(message) {
        if ("text" in message) {
          this.readyState = 1;
          return this.onmessage({ data: message.text });
        }
        this.readyState = 3;
        browser.ports.delete(this.id);
        this.onclose(message);
      }
    };
  }

  lead() {
    const edge = this.edge;
    const hub = new Hub(
      () => new EdgeSocket(edge),
      (ids, message) => ids.forEach((id) => hub === this.hub && this.ports.get(id)?.told(message)),
    );
    this.hub = hub;
  }

  takeOver() {
    this.hub.close();
    this.lead();
  }

  pump(most = Infinity) {
    for (const socket of [...this.edge.sockets]) socket.pump(most);
  }

  async quiet() {
    for (let turn = 0; turn < 60; turn += 1) {
      this.pump();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  open(options = {}) {
    return open({ base: "http://mesh/", fallback: false, WebSocket: this.Port, ...options });
  }
}

function browser(t) {
  const random = mock.method(Math, "random", () => 0);
  const made = new Browser();
  const meshes = [];
  t.after(() => {
    for (const mesh of meshes) mesh.close();
    random.mock.restore();
  });
  const follow = (options) => {
    const mesh = made.open();
    meshes.push(mesh);
    const following = mesh.follow("chat_s1", options);
    const seen = [];
    const told = [];
    following.on("*", ({ cursor }) => seen.push(Number(cursor.slice(3))));
    for (const of of [following, mesh]) for (const type of ["gap", "error"]) of.on(type, (what) => told.push([type, what]));
    return { mesh, following, seen, told, from: made.edge.heard, options };
  };
  return { made, follow };
}

test("all who follow a topic do so over one socket, and it is closed after the last of them", async (t) => {
  const { made, follow } = browser(t);
  const clients = [follow(), follow(), follow()];
  await made.quiet();
  made.edge.publish("chat_s1", "a");
  await made.quiet();
  assert.deepEqual(clients.map(({ seen }) => seen), [[1], [1], [1]]);
  assert.ok(clients.every(({ following }) => following.state.state === "connected"));
  const [socket] = made.edge.sockets;
  clients[0].mesh.close();
  made.edge.publish("chat_s1", "a");
  await made.quiet();
  assert.deepEqual(clients.map(({ seen }) => seen), [[1], [1, 2], [1, 2]]);
  clients[1].following.close();
  clients[2].following.close();
  await made.quiet();
  assert.equal(socket.follows.size, 0);
  clients[1].mesh.close();
  clients[2].mesh.close();
  assert.equal(made.edge.asked, 1);
  assert.equal(made.edge.sockets.size, 0);
});

test("who begins further back is shown it, and nobody else is", async (t) => {
  const { made, follow } = browser(t);
  for (let event = 0; event < 10; event += 1) made.edge.publish("chat_s1", event % 2 ? "b" : "a");
  const live = follow();
  await made.quiet();
  const history = follow({ history: 3 });
  const since = follow({ since: "R1-5" });
  const types = follow({ since: "R1-2", types: ["b"] });
  await made.quiet();
  made.edge.publish("chat_s1", "a");
  made.edge.publish("chat_s1", "b");
  await made.quiet();
  assert.deepEqual(live.seen, [11, 12]);
  assert.deepEqual(history.seen, [8, 9, 10, 11, 12]);
  assert.deepEqual(since.seen, [6, 7, 8, 9, 10, 11, 12]);
  assert.deepEqual(types.seen, [4, 6, 8, 10, 12]);
});

test("where the socket goes on from while something is missing is for who asked for it alone", async (t) => {
  const { made, follow } = browser(t);
  for (let event = 0; event < 10; event += 1) made.edge.publish("chat_s1", "a");
  const live = follow();
  await made.quiet();
  made.edge.isDegraded = true;
  const behind = follow({ since: "R1-5" });
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setTimeout(resolve, 1));
  const waiting = follow({ history: 2 }); // one thing is asked for at a time
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setTimeout(resolve, 1));
  made.pump(1);
  assert.deepEqual([live, behind, waiting].map(({ following }) => following.since), ["R1-10", "R1-5", ""]);
  await made.quiet();
  assert.deepEqual(behind.seen, [6, 7, 8, 9, 10]);
  assert.deepEqual([live, behind, waiting].map(({ following }) => following.since), ["R1-10", "R1-10", ""]);
  assert.ok([live, behind].every(({ following }) => following.state.degraded));
  made.edge.isDegraded = false;
  for (const socket of made.edge.sockets) socket.greet("chat_s1", true, made.edge.head);
  await made.quiet();
  made.edge.publish("chat_s1", "a");
  await made.quiet();
  assert.deepEqual([live, behind, waiting].map(({ seen }) => seen), [[11], [6, 7, 8, 9, 10, 11], [9, 10, 11]]);
  assert.ok([live, behind, waiting].every(({ following, told }) => !following.state.degraded && told.length === 0));
});

test("an answer is for who asked, and what is too large takes nobody else with it", async (t) => {
  const { made, follow } = browser(t);
  const [one, two] = [follow(), follow()];
  await made.quiet();
  const sent = one.mesh.send("chat.s1.message", { content: "one" });
  await made.quiet();
  assert.equal((await sent).duplicate, false);
  const small = one.mesh.send("chat.s1.message", { content: "x" });
  const large = two.mesh.send("chat.s1.message", { content: "x".repeat(100) });
  const refused = assert.rejects(large, { code: "too_large" });
  await new Promise((resolve) => setTimeout(resolve, 1));
  const [socket] = made.edge.sockets;
  socket.queue = [];
  socket.lose(1009);
  await refused;
  await made.quiet();
  await small;
});

test("a topic that is refused is refused to all who asked for it", async (t) => {
  const { made, follow } = browser(t);
  const [one, two] = [follow(), follow()];
  await new Promise((resolve) => setTimeout(resolve, 1));
  made.pump(1);
  await new Promise((resolve) => setTimeout(resolve, 1));
  const [socket] = made.edge.sockets;
  socket.queue = [JSON.stringify({ event_type: "error", payload: { id: "+chat_s1", code: "bad_topic", message: "no" } })];
  await made.quiet();
  for (const { following } of [one, two]) assert.deepEqual([following.state.state, following.state.reason], ["failed", "no"]);
});

test("a gap is told to who was behind it", async (t) => {
  const { made, follow } = browser(t);
  for (let event = 0; event < 9; event += 1) made.edge.publish("chat_s1", "a");
  const live = follow({ since: "R1-8" });
  await made.quiet();
  const [socket] = made.edge.sockets;
  socket.send = function (text) {
    const message = JSON.parse(text);
    if (message.type !== "subscribe") return EdgeSocket.prototype.send.call(this, text);
    assert.equal(message.since, "R1-2");
    this.greet("chat_s1", false, "R1-2");
    this.say({ topic: "chat_s1", event_type: "gap", payload: { from: "R1-2", to: "R1-6", reason: "limits" } });
    EdgeSocket.prototype.send.call(this, JSON.stringify({ ...message, since: "R1-6" }));
  };
  const behind = follow({ since: "R1-2" });
  await made.quiet();
  made.edge.publish("chat_s1", "a");
  await made.quiet();
  assert.deepEqual(live.seen, [9, 10]);
  assert.deepEqual(live.told, []);
  assert.deepEqual(behind.seen, [7, 8, 9, 10]);
  assert.deepEqual(behind.told.map(([type, { to }]) => [type, to]), [["gap", "R1-6"]]);
});

test("whatever comes and goes, each is shown all of it, once and in order", async (t) => {
  for (let seed = 1; seed <= 50; seed += 1) {
    let state = seed;
    const chance = (of) => (state = (state * 48_271) % 2_147_483_647) % of;
    const { made, follow } = browser(t);
    const clients = [];
    for (let step = 0; step < 120; step += 1) {
      const roll = chance(20);
      if (roll < 8) made.edge.publish("chat_s1", "abc"[chance(3)]);
      else if (roll < 12) made.pump(chance(6));
      else if (roll < 15) await new Promise((resolve) => setTimeout(resolve, 0));
      else if (roll === 15 && clients.length < 6) {
        const types = [undefined, ["a"], ["a", "b"]][chance(3)];
        clients.push(follow([{}, { history: 1 + chance(5) }, { since: `R1-${chance(made.edge.seq + 1)}` }].map((each) => ({ ...each, types }))[chance(3)]));
      } else if (roll === 16) for (const socket of [...made.edge.sockets]) socket.lose();
      else if (roll === 17) made.takeOver();
      else if (roll === 18 && clients.length) clients[chance(clients.length)].mesh._line.drop("by chance");
      else if (roll === 19 && clients.length && !chance(3)) {
        const [{ mesh }] = clients.splice(chance(clients.length), 1);
        mesh.close();
      }
    }
    await made.quiet();
    made.edge.publish("chat_s1", "a");
    await made.quiet();
    for (const [number, { seen, told, from, options, following }] of clients.entries()) {
      const where = `seed ${seed}, client ${number}, ${JSON.stringify(options)}, shown ${seen}`;
      const wanted = made.edge.log
        .filter(({ event_type: type }) => !options.types || options.types.includes(type))
        .map(({ cursor }) => Number(cursor.slice(3)));
      assert.deepEqual(seen, wanted.slice(-seen.length), where);
      assert.equal(following.state.state, "connected", where);
      assert.deepEqual(told, [], where);
      if (options.since) assert.equal(seen.length, wanted.filter((seq) => seq > Number(options.since.slice(3))).length, where);
      else if (!options.history) assert.ok(seen[0] > from, where);
      else assert.ok(seen.length >= Math.min(options.history, wanted.length), where);
    }
    for (const { mesh } of clients) mesh.close();
    assert.equal(made.edge.sockets.size, 0, `seed ${seed}`);
  }
});
