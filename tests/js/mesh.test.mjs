// The client's decisions (cursors, chain, back-off) and its life with a socket, on a clock that the test moves.

import assert from "node:assert/strict";
import { describe, mock, test } from "node:test";

import { Positions, backoff, compareCursors, connect, socketUrl } from "../../sdk/js/mesh.js";
import { FakeSocket, message, open, page, settle } from "./fake_socket.mjs";

describe("cursors", () => {
  test("compare by sequence within one stream and epoch", () => {
    assert.ok(compareCursors("Rk3f-9", "Rk3f-10") < 0);
    assert.ok(compareCursors("Rk3f-11", "Rk3f-10") > 0);
    assert.equal(compareCursors("Rk3f-10", "Rk3f-10"), 0);
  });

  test("compare beyond what a number holds", () => {
    assert.ok(compareCursors("Rk3f-9007199254740993", "Rk3f-9007199254740992") > 0);
  });

  test("of another stream, another epoch or none are not comparable", () => {
    for (const [a, b] of [["Rk3f-1", "Sk3f-1"], ["Rk3f-1", "Rk3g-1"], ["", "Rk3f-1"], [undefined, undefined], ["Rk3f-1", "x"]]) {
      assert.ok(Number.isNaN(compareCursors(a, b)), `${a} ${b}`);
    }
  });
});

describe("back-off", () => {
  test("has full jitter under a ceiling from half a second to 20 s", () => {
    assert.equal(backoff(0, () => 0), 0);
    assert.equal(backoff(0, () => 0.999), 499.5);
    assert.equal(backoff(3, () => 0.5), 2000);
    assert.equal(backoff(50, () => 0.5), 10_000);
    assert.equal(backoff(5000, () => 0.5), 10_000);
  });
});

describe("addresses", () => {
  for (const [target, base, query, url] of [
    ["events", "http://h/", {}, "ws://h/ws/events"],
    ["council", "https://h/", {}, "wss://h/ws/council"],
    ["chat_my_s", "http://h/", {}, "ws://h/ws/chat/my_s"],
    ["agent_scout", "http://h/behind/", {}, "ws://h/behind/ws/agent/scout"],
    ["chat_a?b", "http://h/", {}, "ws://h/ws/chat/a%3Fb"],
    ["/ws/events", "http://h/behind/", { since: "Rk3f-1.Sp9a-2" }, "ws://h/ws/events?since=Rk3f-1.Sp9a-2"],
    ["wss://x:1/ws/events", undefined, { history: 5, since: "" }, "wss://x:1/ws/events?history=5"],
    ["https://x/ws/events?types=a", undefined, { types: undefined }, "wss://x/ws/events?types=a"],
  ]) {
    test(`${target} at ${base}`, () => assert.equal(socketUrl(target, base, query), url));
  }

  test("a bare topic outside a page is refused in words", () => {
    assert.throws(() => socketUrl("events", undefined), /needs a whole URL, or a base/);
  });
});

describe("positions", () => {
  test("keep the newest cursor of each stream and leave out what is none", () => {
    const positions = new Positions("Rk3f-120.rubbish.Sp9a-88");
    assert.equal(positions.since, "Rk3f-120.Sp9a-88");
    assert.equal(positions.take({ cursor: "Rk3f-121", prev: "Rk3f-120" }), "new");
    assert.equal(positions.since, "Rk3f-121.Sp9a-88");
  });

  test("know what was handed on before", () => {
    const positions = new Positions("Rk3f-120");
    assert.equal(positions.take({ cursor: "Rk3f-120" }), "known");
    assert.equal(positions.take({ cursor: "Rk3f-7", prev: "Rk3f-6" }), "known");
    assert.equal(positions.since, "Rk3f-120");
  });

  test("see a hole before a live frame, and none before a replayed one", () => {
    const positions = new Positions("Rk3f-120");
    assert.equal(positions.take({ cursor: "Rk3f-125", prev: "Rk3f-123" }), "broken");
    assert.equal(positions.since, "Rk3f-120");
    assert.equal(positions.take({ cursor: "Rk3f-123" }), "new");
    assert.equal(positions.take({ cursor: "Rk3f-125", prev: "Rk3f-123" }), "new");
  });

  test("go on from where the server said", () => {
    const positions = new Positions("Sp9a-50");
    positions.start({ R: "Rk3f-118", S: "Sp9a-60", X: "rubbish" });
    assert.equal(positions.since, "Rk3f-118.Sp9a-50");
    assert.equal(positions.take({ cursor: "Sp9a-55" }), "new", "a replay reaches what lies before that");
    assert.equal(positions.take({ cursor: "Sp9a-61", prev: "Sp9a-60" }), "new");
    assert.equal(positions.take({ cursor: "Rk3f-121", prev: "Rk3f-119" }), "broken");
    assert.equal(positions.take({ cursor: "Rk3f-121", prev: "Rk3f-118" }), "new");
  });

  test("take another epoch only where it was told of", () => {
    const positions = new Positions("Rk3f-120");
    assert.equal(positions.take({ cursor: "Rzzz-2", prev: "Rzzz-1" }), "broken");
    positions.skip("Rzzz-1");
    assert.equal(positions.since, "Rzzz-1");
    assert.equal(positions.take({ cursor: "Rzzz-2", prev: "Rzzz-1" }), "new");
  });

  test("do not ask for the same hole for ever", () => {
    const positions = new Positions("Rk3f-1");
    const frame = { cursor: "Rk3f-9", prev: "Rk3f-8" };
    assert.deepEqual([positions.take(frame), positions.take(frame), positions.take(frame)], ["broken", "broken", "lost"]);
    assert.equal(positions.since, "Rk3f-9");
  });

  test("take what an edge found late, once", () => {
    const positions = new Positions("Rk3f-100");
    positions.start({ R: "Rk3f-104" });
    assert.equal(positions.take({ cursor: "Rk3f-110", prev: "Rk3f-104" }), "new");
    assert.equal(positions.take({ cursor: "Rk3f-108", prev: "Rk3f-110" }), "new", "shown after a later one");
    assert.equal(positions.take({ cursor: "Rk3f-108" }), "known");
    assert.equal(positions.take({ cursor: "Rk3f-110" }), "known");
    assert.equal(positions.take({ cursor: "Rk3f-99" }), "known", "it lies before where this one came in");
    assert.equal(positions.since, "Rk3f-110");
  });

  test("remember a bounded number of cursors", () => {
    const positions = new Positions("");
    for (let seq = 2; seq <= 4_000; seq += 2) positions.take({ cursor: `Rk3f-${seq}` });
    assert.equal(positions.take({ cursor: "Rk3f-3" }), "known", "too old to tell");
    assert.equal(positions.take({ cursor: "Rk3f-3999" }), "new");
  });

  test("let notices pass", () => {
    assert.equal(new Positions("Rk3f-1").take({}), "new");
  });
});

describe("sending", () => {
  const ack = (id, more = {}) => ({ event_type: "ack", payload: { id, cursor: "Rk3f-7", duplicate: false, ...more } });

  const texts = () => FakeSocket.last.sent.filter(({ type }) => type === "send").map(({ id }) => id);

  test("resolves when it is stored, whatever comes in between, and an ack is no event", async (t) => {
    const { connection, log } = await open(t);
    FakeSocket.last.greet({ cursors: { R: "Rk3f-3" } });
    const one = connection.send("chat.s1.message", { content: "hi" }, { id: "c1" });
    const two = connection.send("chat.s2.message", { content: "ho" });
    const [first, second] = FakeSocket.last.sent;
    assert.deepEqual(first, { type: "send", id: "c1", subject: "chat.s1.message", payload: { content: "hi" } });
    assert.match(second.id, /^[0-9a-f]{32}$/);
    assert.equal(connection.waiting, 2);
    FakeSocket.last.receive(ack(second.id, { cursor: "Rk3f-5" }));
    FakeSocket.last.receive(message(4, 3));
    FakeSocket.last.receive(ack("c1"));
    FakeSocket.last.receive(ack("c1"));
    assert.deepEqual(await one, ack("c1").payload);
    assert.equal((await two).cursor, "Rk3f-5");
    assert.equal(connection.since, "Rk3f-4");
    assert.equal(connection.waiting, 0);
    assert.deepEqual(log.map(([type]) => type), ["*"]);
  });

  test("rejects what is refused, and other errors are still heard", async (t) => {
    const { connection, log } = await open(t);
    FakeSocket.last.greet();
    const sent = connection.send("chat.s1.message", {}, { id: "c1" });
    FakeSocket.last.receive({ event_type: "error", payload: { code: "unknown_type", message: "what?" } });
    FakeSocket.last.receive({ event_type: "error", payload: { id: "c1", code: "not_allowed", message: "no" } });
    await assert.rejects(sent, { name: "Error", message: "no", code: "not_allowed", id: "c1" });
    assert.deepEqual(log, [["error", { code: "unknown_type", message: "what?" }]]);
  });

  test("waits for a connection, and comes again under the same id after a loss", async (t) => {
    const { connection, tick } = await open(t);
    const sent = connection.send("chat.s1.message", {}, { id: "c1" });
    assert.deepEqual(FakeSocket.last.sent, []);
    FakeSocket.last.greet();
    assert.equal(connection.send("chat.s1.message", {}, { id: "c1" }), sent);
    assert.deepEqual(texts(), ["c1"]);
    FakeSocket.last.lose();
    const later = connection.send("chat.s1.message", {}, { id: "c2" });
    await tick(250);
    FakeSocket.last.readyState = 1;
    connection.send("chat.s1.message", {}, { id: "c2" });
    assert.deepEqual(texts(), [], "nothing goes out before the greeting");
    FakeSocket.last.greet();
    assert.deepEqual(texts(), ["c1"]);
    FakeSocket.last.receive(ack("c1", { duplicate: true }));
    assert.deepEqual(texts(), ["c1", "c2"]);
    FakeSocket.last.receive(ack("c2"));
    assert.equal((await sent).duplicate, true);
    assert.equal((await later).id, "c2");
  });

  test("keeps the order of each subject, also when the server puts one off", async (t) => {
    const { connection, tick } = await open(t);
    FakeSocket.last.greet();
    const sent = ["c1", "c2"].map((id) => connection.send("chat.s1.message", {}, { id }));
    connection.send("chat.s2.message", {}, { id: "other" }).catch(() => {});
    assert.deepEqual(texts(), ["c1", "other"]);
    FakeSocket.last.receive({ event_type: "error", payload: { id: "c1", code: "not_stored", message: "later", retry_after_ms: 1_000 } });
    await tick(999);
    assert.deepEqual(texts(), ["c1", "other"]);
    await tick(1);
    assert.deepEqual(texts(), ["c1", "other", "c1"]);
    FakeSocket.last.receive(ack("c1"));
    FakeSocket.last.receive(ack("c2"));
    await Promise.all(sent);
    assert.deepEqual(texts(), ["c1", "other", "c1", "c2"]);
  });

  test("is bounded", async (t) => {
    const { connection } = await open(t, { queue: 2 });
    const sent = ["c1", "c2"].map((id) => connection.send("chat.s1.message", {}, { id }));
    await assert.rejects(connection.send("chat.s1.message", {}, { id: "c3" }), { code: "full", id: "c3" });
    await assert.rejects(connection.send("chat.s1.message", {}, { id: "c3" }), { code: "full" });
    connection.close();
    for (const each of sent) await assert.rejects(each, { code: "closed" });
    await assert.rejects(connection.send("chat.s1.message", {}), { code: "closed" });
  });

  test("refuses what no server takes, and what this one closed for", async (t) => {
    const { connection, tick } = await open(t);
    await assert.rejects(connection.send("chat.s1.message", { content: "\u00e4".repeat(32_768) }), { code: "too_large" });
    FakeSocket.last.greet();
    const big = connection.send("chat.s1.message", { content: "x".repeat(100) }, { id: "big" });
    const small = connection.send("chat.s2.message", {}, { id: "small" });
    FakeSocket.last.lose(1009);
    await assert.rejects(big, { code: "too_large", id: "big" });
    await tick(250);
    FakeSocket.last.greet();
    assert.deepEqual(texts(), ["small"]);
    FakeSocket.last.receive(ack("small"));
    await small;
  });

  test("does not send again what the server may have forgotten, but what was never sent", async (t) => {
    const { connection, tick } = await open(t);
    FakeSocket.last.greet();
    const tried = connection.send("chat.s1.message", {}, { id: "tried" });
    FakeSocket.last.lose();
    const fresh = connection.send("chat.s1.message", {}, { id: "fresh" });
    page.dispatchEvent(new Event("offline"));
    mock.timers.setTime(600_000);
    await tick(250);
    FakeSocket.last.greet();
    await assert.rejects(tried, { code: "lost", id: "tried" });
    assert.deepEqual(texts(), ["fresh"]);
    FakeSocket.last.receive(ack("fresh"));
    await fresh;
  });

  test("writes no faster than a server takes it", async (t) => {
    const { connection, tick } = await open(t);
    FakeSocket.last.greet();
    let stored = 0;
    for (let number = 0; number < 300; number += 1) connection.send("chat.s1.message", {}).then(() => (stored += 1));
    let answered = 0;
    const answer = () => {
      for (; answered < FakeSocket.last.sent.length; answered += 1) {
        const { type, id } = FakeSocket.last.sent[answered];
        if (type === "send") FakeSocket.last.receive(ack(id));
      }
    };
    answer();
    assert.equal(FakeSocket.last.sent.length, 100);
    const go = async (/** @type {number} */ ms) => {
      for (; ms > 0; ms -= 12) {
        await tick(12);
        answer();
      }
    };
    await go(1_000);
    assert.ok(FakeSocket.last.sent.length < 200, `${FakeSocket.last.sent.length} in a second`);
    await go(2_000);
    assert.equal(stored, 300);
  });

  test("ends with what refused the connection for good", async (t) => {
    const { connection } = await open(t);
    const sent = connection.send("chat.s1.message", {});
    FakeSocket.last.lose(4403, "the token does not allow this topic");
    await assert.rejects(sent, { code: "closed", message: "the token does not allow this topic" });
  });
});

describe("a connection", () => {
  test("connects, hands events on once, and closes", async (t) => {
    const { connection, states, seen, log } = await open(t, { history: 20, types: ["chat.message", "chat.delta"] });
    assert.equal(FakeSocket.last.url.href, "ws://mesh:8000/ws/chat/s1?history=20&types=chat.message%2Cchat.delta");
    assert.deepEqual(FakeSocket.last.protocols, []);
    FakeSocket.last.receive(message(3));
    FakeSocket.last.greet({ cursors: { R: "Rk3f-3" } });
    FakeSocket.last.receive(message(4, 3));
    FakeSocket.last.receive(message(4, 3));
    FakeSocket.last.receive({ event_type: "pong", timestamp: 1 });
    assert.deepEqual(seen(), ["Rk3f-3", "Rk3f-4"]);
    assert.equal(log.length, 2);
    assert.equal(connection.since, "Rk3f-4");
    const socket = FakeSocket.last;
    connection.close();
    assert.equal(socket.closed, 1000);
    assert.deepEqual(states, ["connected", "disconnected"]);
  });

  test("resumes from its positions and says so", async (t) => {
    const { states, seen, tick, log, connection } = await open(t, { history: 20 });
    FakeSocket.last.greet({ cursors: { R: "Rk3f-3", S: "Sp9a-7" } });
    FakeSocket.last.receive(message(4, 3));
    FakeSocket.last.lose();
    assert.deepEqual(connection.state, { state: "recovering", reason: "closed (1006)", retryInMs: 250, degraded: false });
    await tick(249);
    assert.equal(FakeSocket.made.length, 1);
    await tick(1);
    assert.equal(FakeSocket.last.url.search, "?since=Rk3f-4.Sp9a-7");
    FakeSocket.last.greet({ cursors: { R: "Rk3f-6", S: "Sp9a-7" } });
    FakeSocket.last.receive(message(5));
    FakeSocket.last.receive(message(6));
    FakeSocket.last.receive(message(7, 6));
    assert.deepEqual(seen(), ["Rk3f-4", "Rk3f-5", "Rk3f-6", "Rk3f-7"]);
    assert.deepEqual(states, ["connected", "recovering", "connected"]);
    assert.equal(log.filter(([type]) => type === "recovered").length, 1);
  });

  test("waits longer each time, and from the start again after a stable while", async (t) => {
    const { connection, tick } = await open(t);
    const waits = [];
    for (let attempt = 0; attempt < 8; attempt += 1) {
      FakeSocket.last.lose();
      waits.push(connection.state.retryInMs);
      await tick(connection.state.retryInMs);
    }
    assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    assert.equal(connection.state.state, "connecting");
    FakeSocket.last.greet();
    FakeSocket.last.lose();
    assert.equal(connection.state.retryInMs, 10_000, "a greeting alone is no stable connection");
    await tick(10_000);
    FakeSocket.last.greet();
    await tick(2_001);
    FakeSocket.last.lose();
    assert.equal(connection.state.retryInMs, 250);
  });

  test("resumes when the chain shows a hole", async (t) => {
    const { tick, seen } = await open(t);
    FakeSocket.last.greet({ cursors: { R: "Rk3f-3" } });
    FakeSocket.last.receive(message(4, 3));
    FakeSocket.last.receive(message(6, 5));
    assert.equal(FakeSocket.made[0].closed, true);
    await tick(250);
    assert.equal(FakeSocket.last.url.searchParams.get("since"), "Rk3f-4");
    FakeSocket.last.greet({ cursors: { R: "Rk3f-4" } });
    FakeSocket.last.receive(message(5));
    FakeSocket.last.receive(message(6));
    FakeSocket.made[0].receive(message(99));
    assert.deepEqual(seen(), ["Rk3f-4", "Rk3f-5", "Rk3f-6"]);
  });

  test("tells of what resuming does not bring either", async (t) => {
    const { tick, seen, log } = await open(t);
    for (let turn = 0; turn < 3; turn += 1) {
      FakeSocket.last.greet({ cursors: { R: "Rk3f-3" } });
      FakeSocket.last.receive(message(6, 5));
      await tick(2_000);
    }
    assert.deepEqual(log.find(([type]) => type === "gap")[1], { from: "Rk3f-3", to: "Rk3f-6", reason: "chain" });
    assert.deepEqual(seen(), ["Rk3f-6"]);
    assert.equal(FakeSocket.made.length, 3);
  });

  test("tells a gap, and goes on after it", async (t) => {
    const { log, seen, connection } = await open(t, { since: "Rk3f-100" });
    FakeSocket.last.greet({ cursors: { R: "Rzzz-0" } });
    FakeSocket.last.receive({ event_type: "gap", payload: { from: "Rk3f-100", to: "Rzzz-0", reason: "reset" } });
    FakeSocket.last.receive({ ...message(1), cursor: "Rzzz-1", prev: "Rzzz-0" });
    assert.deepEqual(log[1], ["gap", { from: "Rk3f-100", to: "Rzzz-0", reason: "reset" }]);
    assert.deepEqual(seen(), ["Rzzz-1"]);
    assert.equal(connection.since, "Rzzz-1");
  });

  test("is recovering until the server has given all that was missed", async (t) => {
    const { connection, log, seen } = await open(t, { since: "Rk3f-3" });
    FakeSocket.last.greet({ recovered: false, cursors: { R: "Rk3f-3", S: "Sp9a-0" } });
    assert.deepEqual(connection.state, { state: "recovering", reason: "catching up", retryInMs: null, degraded: false });
    FakeSocket.last.receive(message(4));
    FakeSocket.last.greet({ recovered: true, cursors: { R: "Rk3f-5", S: "Sp9a-0" } });
    FakeSocket.last.receive(message(6, 5));
    assert.equal(connection.state.state, "connected");
    assert.deepEqual(log.map(([type]) => type), ["*", "recovered", "*"]);
    assert.deepEqual(seen(), ["Rk3f-4", "Rk3f-6"]);
  });

  test("is degraded while the server says so", async (t) => {
    const { connection, log } = await open(t);
    FakeSocket.last.greet();
    assert.equal(connection.state.degraded, false);
    FakeSocket.last.greet({ status: "degraded", recovered: false, cursors: undefined });
    assert.deepEqual(connection.state, { state: "connected", reason: "", retryInMs: null, degraded: true });
    assert.deepEqual(log, []);
    FakeSocket.last.greet();
    assert.deepEqual(connection.state, { state: "connected", reason: "", retryInMs: null, degraded: false });
    assert.deepEqual(log.map(([type]) => type), ["recovered"]);
  });

  for (const [code, state, wait] of [
    [1000, "failed", null],
    [1011, "recovering", 10_000],
    [1012, "recovering", 250],
    [4400, "failed", null],
    [4401, "recovering", 250],
    [4403, "failed", null],
    [4408, "recovering", 250],
    [4429, "recovering", 10_000],
    [1001, "recovering", 250],
  ]) {
    test(`honours the close code ${code}`, async (t) => {
      const { connection } = await open(t);
      FakeSocket.last.greet();
      FakeSocket.last.lose(code, "as the table says");
      assert.deepEqual(connection.state, { state, reason: "as the table says", retryInMs: wait, degraded: false });
    });
  }

  test("tries a cookie once more after 4401, for it may be another one by now", async (t) => {
    const { connection, tick } = await open(t);
    FakeSocket.last.greet();
    FakeSocket.last.lose(4401, "expired");
    await tick(250);
    FakeSocket.last.lose(4401, "the token is missing");
    assert.deepEqual(connection.state, { state: "failed", reason: "the token is missing", retryInMs: null, degraded: false });
  });

  test("moves when the edge told it to", async (t) => {
    const { connection } = await open(t);
    FakeSocket.last.greet();
    FakeSocket.last.receive({ event_type: "reconnect", payload: { after_ms: 1234 } });
    FakeSocket.last.lose(1012);
    assert.equal(connection.state.retryInMs, 1234);
  });

  test("asks for a token before each attempt, and again after 4401", async (t) => {
    let asked = 0;
    const { tick, connection } = await open(t, { getToken: async () => `jwt${(asked += 1)}` });
    assert.deepEqual(FakeSocket.last.protocols, ["mesh.v1", "bearer.jwt1"]);
    FakeSocket.last.lose(4401);
    assert.equal(connection.state.state, "connecting");
    await tick(250);
    assert.deepEqual(FakeSocket.last.protocols, ["mesh.v1", "bearer.jwt2"]);
  });

  test("tries again when no token could be had", async (t) => {
    let asked = 0;
    const getToken = async () => {
      if ((asked += 1) === 1) throw new Error("the login is away");
      return "jwt";
    };
    const { tick, connection } = await open(t, { getToken });
    assert.match(connection.state.reason, /the login is away/);
    await tick(250);
    assert.equal(FakeSocket.made.length, 1);
  });

  test("pings a silent line and leaves a dead one within 45 s", async (t) => {
    const { connection, tick } = await open(t);
    FakeSocket.last.greet();
    await tick(15_000);
    const [ping] = FakeSocket.last.sent;
    assert.equal(ping.type, "ping");
    FakeSocket.last.receive({ event_type: "pong", timestamp: ping.timestamp });
    await tick(30_000);
    assert.equal(FakeSocket.last.sent.length, 2);
    assert.equal(connection.state.state, "connected");
    await tick(15_000);
    assert.equal(connection.state.state, "recovering");
    assert.equal(connection.state.reason, "silent");
  });

  test("leaves a socket that never greets", async (t) => {
    const { connection, tick } = await open(t);
    await tick(15_000);
    assert.equal(connection.state.reason, "no greeting");
    assert.equal(FakeSocket.made[0].closed, true);
  });

  test("lets go when the page is left, and resumes when it comes back from the cache", async (t) => {
    const { connection } = await open(t);
    FakeSocket.last.greet({ cursors: { R: "Rk3f-3" } });
    page.dispatchEvent(new Event("pagehide"));
    assert.equal(FakeSocket.made[0].closed, true);
    assert.equal(connection.state.state, "recovering");
    page.dispatchEvent(new Event("pageshow"));
    await settle();
    assert.equal(FakeSocket.made.length, 2);
    assert.equal(FakeSocket.last.url.searchParams.get("since"), "Rk3f-3");
  });

  test("reacts to the network at once", async (t) => {
    const { connection, tick } = await open(t);
    FakeSocket.last.greet();
    page.dispatchEvent(new Event("offline"));
    assert.equal(connection.state.reason, "offline");
    assert.equal(FakeSocket.made.length, 1);
    page.dispatchEvent(new Event("online"));
    await settle();
    assert.equal(FakeSocket.made.length, 2);
    FakeSocket.last.greet();
    await tick(6_000);
    page.dispatchEvent(new Event("online"));
    assert.equal(FakeSocket.last.sent.length, 1, "an open socket is tested, not trusted");
    await tick(5_000);
    assert.equal(connection.state.reason, "silent");
    connection.close();
    page.dispatchEvent(new Event("online"));
    await settle();
    assert.equal(FakeSocket.made.length, 2);
  });

  test("keeps its positions over a reload", async (t) => {
    const kept = new Map();
    const storage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
    const { tick } = await open(t, { storage, history: 5 });
    assert.equal(FakeSocket.last.url.search, "?history=5");
    FakeSocket.last.greet();
    FakeSocket.last.receive(message(4));
    FakeSocket.last.receive(message(5));
    await tick(250);
    assert.deepEqual([...kept], [["mesh:/ws/chat/s1", "Rk3f-5"]]);
    const reloaded = connect("chat_s1", { base: "http://mesh:8000/", WebSocket: FakeSocket, storage, history: 5 });
    t.after(() => reloaded.close());
    await settle();
    assert.equal(FakeSocket.last.url.search, "?since=Rk3f-5");
  });

  test("manages without storage that is forbidden", async (t) => {
    const forbidden = () => {
      throw new Error("SecurityError");
    };
    const { tick, seen } = await open(t, { storage: { getItem: forbidden, setItem: forbidden } });
    FakeSocket.last.greet();
    FakeSocket.last.receive(message(1));
    await tick(250);
    assert.deepEqual(seen(), ["Rk3f-1"]);
  });

  test("survives rubbish from the server and tells the application", async (t) => {
    const { log, connection } = await open(t);
    FakeSocket.last.greet();
    FakeSocket.last.receive("{");
    FakeSocket.last.receive("null");
    FakeSocket.last.receive("[]");
    FakeSocket.last.receive({ event_type: "error", payload: { code: "bad-message", message: "no" } });
    assert.deepEqual(log.map(([type, { code }]) => [type, code]), [
      ["error", "bad-frame"],
      ["error", "bad-frame"],
      ["error", "bad-frame"],
      ["error", "bad-message"],
    ]);
    assert.equal(connection.state.state, "connected");
  });

  test("does not let a listener's mistake stop the events after it", async (t) => {
    const uncaught = new Promise((resolve) => mock.method(globalThis, "queueMicrotask", resolve));
    t.after(() => globalThis.queueMicrotask.mock.restore());
    const { connection, seen } = await open(t);
    connection.on("chat.message", () => {
      throw new Error("mine");
    });
    FakeSocket.last.greet();
    FakeSocket.last.receive(message(1));
    FakeSocket.last.receive(message(2, 1));
    assert.deepEqual(seen(), ["Rk3f-1", "Rk3f-2"]);
    assert.throws(await uncaught, /mine/);
  });

  test("a listener can be taken away", async (t) => {
    const { connection } = await open(t);
    const heard = [];
    const off = connection.on("chat.message", (event) => heard.push(event.cursor));
    FakeSocket.last.greet();
    FakeSocket.last.receive(message(1));
    off();
    FakeSocket.last.receive(message(2, 1));
    assert.deepEqual(heard, ["Rk3f-1"]);
  });
});
