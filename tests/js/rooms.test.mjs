// What the rooms of the page make of events: a timeline and its filters, minutes of councils, brains, samples of the mesh.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { countOf, filterOf, isPattern, matcher, natsSub, queryOf, subjectsOf } from "../../console/rooms/activity/filter.js";
import { Timeline, indexOf, rowOf, traceOf } from "../../console/rooms/activity/timeline.js";
import { Brains, together } from "../../console/rooms/brain/history.js";
import { Minutes, standOf, tally, wayOf } from "../../console/rooms/council/minutes.js";
import { covers } from "../../console/subjects.js";
import { spanOf } from "../../console/parts/chart.js";
import { Samples, age, bytes, largest, sampleOf, sum } from "../../console/rooms/mesh/samples.js";

const at = (second) => new Date(Date.UTC(2026, 2, 1, 10, 0, second)).toISOString();
const NONE = { type: "", subject: "", agent: "", text: "", pieces: false };
const event = (number, more = {}) => ({
  event_type: "agent.activity",
  subject: "agent.scout.activity",
  cursor: `Sk3f-${number}`,
  timestamp: at(number),
  payload: { agent_id: "scout", activity: `searching ${number}` },
  ...more,
});

describe("a timeline", () => {
  const numbers = (rows) => rows.map(({ cursor }) => Number(cursor.split("-")[1]));

  test("shows each event once, whatever comes twice", () => {
    const timeline = new Timeline();
    timeline.append([event(3), event(4)]);
    timeline.prepend([event(1), event(2), event(3)]);
    timeline.append([event(4), event(5)]);
    assert.deepEqual(numbers(timeline.rows), [1, 2, 3, 4, 5]);
    const order = timeline.rows.map(({ number }) => number);
    assert.deepEqual(order, [...order].sort((a, b) => a - b));
    assert.equal(new Set(order).size, 5);
  });

  test("is bounded in number and in size, and forgets what it dropped", () => {
    const timeline = new Timeline(100, 1e9);
    for (let number = 1; number <= 1_000; number += 1) timeline.append([event(number)]);
    assert.ok(timeline.rows.length >= 100 && timeline.rows.length <= 110);
    assert.deepEqual(timeline.shown, timeline.rows);
    assert.equal(timeline.rows.at(-1).cursor, "Sk3f-1000");
    assert.equal(timeline.count, 1_000);
    const heavy = new Timeline(1_000, 100_000);
    for (let number = 1; number <= 100; number += 1) heavy.append([event(number, { payload: { much: "x".repeat(10_000) } })]);
    assert.ok(heavy.rows.length >= 8 && heavy.rows.length <= 12, `${heavy.rows.length}`);
    heavy.prepend([event(0)]);
    assert.ok(heavy.isFull);
    const full = new Timeline(3);
    full.append([event(7), event(8)]);
    full.prepend([event(1), event(2), event(3)]);
    assert.deepEqual(numbers(full.rows), [3, 7, 8]);
  });

  test("shows what is wanted, of what comes and of what there is", () => {
    const timeline = new Timeline();
    timeline.append([event(1), event(2, { event_type: "task.update", subject: "task.t1.update.scout" })]);
    timeline.want(matcher({ ...NONE, type: "task" }));
    timeline.append([event(3), event(4, { event_type: "task.update", subject: "task.t1.update.scout" })]);
    assert.deepEqual(numbers(timeline.shown), [2, 4]);
    timeline.want(() => true);
    assert.deepEqual(numbers(timeline.shown), [1, 2, 3, 4]);
  });

  test("has copies that stay as they are", () => {
    const timeline = new Timeline();
    timeline.append([event(1)]);
    const copy = timeline.copy();
    timeline.append([event(2)]);
    assert.deepEqual(numbers(copy.rows), [1]);
    copy.want(() => false);
    assert.deepEqual([copy.shown.length, timeline.shown.length], [0, 2]);
  });

  test("finds rows by their numbers", () => {
    const rows = [{ number: -3 }, { number: 1 }, { number: 7 }];
    assert.deepEqual([-9, -3, 0, 7, 8].map((number) => indexOf(rows, number)), [0, 0, 1, 2, 3]);
  });

  test("says how far a task has come in the words of its bar", () => {
    const said = (payload) => rowOf(event(1, { event_type: "task.update", payload }), 1).text;
    const progress = { done: 242, total: 20_000, rate: 6.305, eta_s: 3_134, note: "a.md" };
    assert.equal(said({ status: "running", title: "Index", progress }), "running · Index · 242 of 20,000 · 6.3/s · 52 min left · a.md");
    assert.equal(said({ status: "failed", progress: { done: 1, total: 2, rate: 9 }, reason: "no disk" }), "failed · 1 of 2 · no disk");
    for (const payload of [null, undefined, [], 7, { status: {}, title: [], progress: "soon" }]) assert.equal(typeof said(payload), "string");
  });

  test("takes whatever comes", () => {
    for (const payload of [null, undefined, [], "text", 7, { agent_id: {}, sender: 3, traceparent: {} }]) {
      const row = rowOf({ event_type: "x.y", payload }, 1);
      assert.deepEqual([row.who, row.trace, row.subject], [[], "", ""]);
    }
    const id = "0af7651916cd43dd8448eb211c80319c";
    assert.equal(traceOf(`00-${id}-b7ad6b7169203331-01`), id);
    assert.equal(rowOf(event(1, { traceparent: `00-${id}-b7ad6b7169203331-01` }), 1).trace, id);
    for (const text of ["", id, `00-${id}`, `00-${"z".repeat(32)}-b7ad6b7169203331-01`, 7]) assert.equal(traceOf(text), "");
  });
});

describe("a filter", () => {
  const wants = (filter, more) => matcher({ ...NONE, ...filter })(rowOf(event(1, more), 1));

  test("goes by type, domain, subject, agent and text", () => {
    assert.ok(wants({}));
    assert.ok(wants({ type: "agent" }) && wants({ type: "agent.activity" }) && !wants({ type: "agent.status" }) && !wants({ type: "task" }));
    assert.ok(wants({ subject: "agent.*.activity" }) && wants({ subject: "agent.>" }) && !wants({ subject: "agent.*" }));
    assert.ok(wants({ agent: "scout" }) && !wants({ agent: "scou" }));
    assert.ok(wants({ agent: "clerk" }, { subject: "chat.s1.message.clerk" }) && wants({ agent: "ada" }, { payload: { sender: "ada" } }));
    assert.ok(wants({ text: "SEARCHING 1" }) && wants({ text: "Sk3f-1" }) && !wants({ text: "a.*b" }) && wants({ text: "(" }, { payload: { activity: "f(x)" } }));
    assert.ok(wants({ type: "agent", agent: "scout", text: "search" }) && !wants({ type: "task", agent: "scout" }));
  });

  test("leaves out the pieces of a message, but the first, unless they are wanted", () => {
    const piece = (index) => ({ event_type: "chat.delta", subject: "chat.s1.delta", payload: { index } });
    assert.ok(wants({}, piece(0)) && !wants({}, piece(1)) && wants({ pieces: true }, piece(1)) && wants({ type: "chat.delta" }, piece(1)));
  });

  test("shows what the page itself says of the log, whatever is wanted", () => {
    const timeline = new Timeline();
    timeline.want(matcher({ ...NONE, type: "task" }));
    timeline.note("a gap");
    assert.equal(timeline.shown.length, 1);
  });

  test("asks the log for what can match", () => {
    assert.deepEqual(subjectsOf(NONE), []);
    assert.deepEqual(subjectsOf({ ...NONE, type: "chat" }), ["chat.>"]);
    assert.deepEqual(subjectsOf({ ...NONE, type: "chat.message" }), ["chat.*.message", "chat.*.message.*"]);
    assert.deepEqual(subjectsOf({ ...NONE, type: "chat.message", subject: "chat.s1.>" }), ["chat.s1.>"]);
    assert.deepEqual(subjectsOf({ ...NONE, subject: "chat..>" }), []);
  });

  test("knows subjects as NATS does", () => {
    for (const pattern of ["a", "a.b", "*", ">", "a.*.>", "chat.s-1_x.message"]) assert.ok(isPattern(pattern), pattern);
    for (const text of ["", "a.", ".a", "a..b", "a.>.b", "a b", "a.b*", "'; rm", "x".repeat(81)]) assert.ok(!isPattern(text), text);
    assert.ok(covers("a.*.c", "a.b.c") && covers("a.>", "a.b") && covers(">", "a"));
    assert.ok(!covers("a.>", "a") && !covers("a.*", "a.b.c") && !covers("a.b", "a"));
    assert.equal(natsSub("chat.s1.message"), "nats sub 'chat.s1.message'");
  });

  test("is part of the address", () => {
    const filter = { type: "chat", subject: "chat.>", agent: "scout", text: "a & b", pieces: true };
    assert.deepEqual(filterOf(new URLSearchParams(Object.entries(queryOf(filter)))), filter);
    assert.deepEqual([countOf(filter), countOf(NONE)], [5, 0]);
  });
});

describe("a chart", () => {
  test("shows half a minute at least, up to its last point", () => {
    assert.deepEqual(spanOf({ data: [[100, 102]] }, 100, 102), [72, 102]);
    assert.deepEqual(spanOf({ data: [[100, 200]] }, 100, 200), [100, 200]);
    // A single point comes with a day behind it.
    assert.deepEqual(spanOf({ data: [[100]] }, 100, 86_500), [70, 100]);
    const [from, to] = spanOf({ data: [[]] }, null, null);
    assert.equal(to - from, 30);
  });
});

describe("the minutes of councils", () => {
  const said = (second, update, id = "board") => event(second, { event_type: "council.update", subject: `council.${id}.update`, payload: { council_id: id, update } });
  const minutes = (...events) => {
    const made = new Minutes();
    made.add(events);
    return made;
  };

  test("have one entry for a proposal, with its votes and its decision", () => {
    const { items } = minutes(
      said(1, { type: "proposal", proposal_id: "p1", title: "Move", by: "scout", text: "It is cheaper." }),
      said(2, { type: "vote", proposal_id: "p1", by: "clerk", vote: "approve" }),
      said(3, { type: "vote", proposal_id: "p1", by: "auditor", vote: "no" }),
      said(4, { type: "vote", proposal_id: "p1", by: "clerk", vote: "abstain" }),
    );
    assert.equal(items.length, 1);
    assert.deepEqual([items[0].title, items[0].by, items[0].text, standOf(items[0])], ["Move", "scout", "It is cheaper.", "open"]);
    assert.deepEqual(tally(items[0]), { for: 0, against: 1, other: 1 });
    const decided = minutes(said(1, { proposal: "Move" }), said(2, { proposal: "Move", decision: "rejected", by: "chair" })).items;
    assert.deepEqual(decided.map((item) => [item.title, standOf(item), item.decision.by]), [["Move", "rejected", "chair"]]);
  });

  test("take the words of events with verbs of their own, and votes before their proposal", () => {
    const made = minutes(
      event(1, { event_type: "council.vote", subject: "council.board.vote", payload: { proposal_id: "p1", voter: "a", choice: "yes" } }),
      event(2, { event_type: "council.proposal", subject: "council.board.proposal", payload: { id: "p1", title: "Later" } }),
    );
    assert.deepEqual(made.items.map(({ title, votes }) => [title, votes.size]), [["Later", 1]]);
  });

  test("keep councils apart, newest first, and note the rest", () => {
    const made = minutes(said(1, { proposal: "Same" }), said(2, { proposal: "Same" }, "budget"), said(3, "We meet at noon."), said(3, "We meet at noon."));
    assert.deepEqual(made.items.map(({ council, kind, title, text }) => [council, kind, title || text]), [
      ["board", "note", "We meet at noon."],
      ["budget", "proposal", "Same"],
      ["board", "proposal", "Same"],
    ]);
    assert.deepEqual(made.councils, ["board", "budget"]);
  });

  test("take whatever comes", () => {
    const odd = [null, 7, [], {}, { type: {} }, { proposal: [] }, { vote: {} }, { proposal_id: "<b>", type: "vote", by: null }, undefined];
    const made = minutes(...odd.map((update, index) => said(index, update)), event(50, { event_type: "council.x", subject: "", payload: null }));
    assert.equal(made.items.length, odd.length + 1);
    assert.deepEqual(["yes", "AGAINST", "maybe", "-1", "Accepted"].map(wayOf), ["for", "against", "other", "against", "for"]);
  });
});

describe("brains", () => {
  const told = (second, status, id = "main") => event(second, { event_type: "brain.status", subject: `brain.${id}.status`, payload: { brain_id: id, status } });

  test("are as they told last, with their figures over time", () => {
    const brains = new Brains();
    brains.add([told(1, { state: "online", model: "m", models: ["m", 7], latency_ms: 3 }), told(2, { state: "degraded", reason: "no model", latency_ms: 5, first_token_ms: 200 })]);
    brains.add([told(1, { state: "online" }), told(0, { state: "online", latency_ms: 9 })]);
    const [brain] = brains.all;
    assert.deepEqual([brain.state, brain.reason, brain.model], ["degraded", "no model", ""]);
    assert.deepEqual(together(brain, ["latency_ms", "first_token_ms"]), [[Date.parse(at(1)) / 1000, Date.parse(at(2)) / 1000], [3, 5], [null, 200]]);
  });

  test("take whatever comes, and are bounded", () => {
    const brains = new Brains();
    brains.add([told(1, "well"), told(2, null, "b"), told(3, [], "c"), event(4, { subject: "", payload: null })]);
    assert.deepEqual(brains.all.map(({ id, state }) => [id, state]), [["b", "unknown"], ["c", "[]"], ["main", "well"]]);
    for (let number = 10; number < 3_000; number += 1) brains.add([told(number, { n: number, bad: NaN }, "long")]);
    assert.ok(brains.all.find(({ id }) => id === "long").figures.get("n").length <= 1_000);
    for (let number = 0; number < 500; number += 1) brains.add([told(4_000 + number, {}, `b${number}`)]);
    assert.equal(brains.all.length, 100);
  });
});

describe("samples of the mesh", () => {
  const answer = (second, edges) => ({ timestamp: at(second), edges, streams: [{ name: "RECORDS", stored_per_s: 1 }, { name: "SIGNALS", stored_per_s: 2 }, { name: "ASKS", stored_per_s: 9 }] });

  test("sum up the edges, and say nothing where nothing is known", () => {
    const edge = { deliveries_per_s: 10, sockets: 2, topics: 1, latency: { p50_ms: 1, p99_ms: 5, is_recent: true } };
    const old = { ...edge, latency: { p50_ms: 99, p99_ms: 99, is_recent: false } };
    assert.deepEqual(sampleOf(answer(1, [edge, { ...edge, deliveries_per_s: null }, old])), { at: Date.parse(at(1)) / 1000, stored: 3, delivered: 20, p50: 1, p99: 5, sockets: 6, topics: 3 });
    const none = sampleOf(answer(1, []));
    assert.deepEqual([none.delivered, none.p50, none.sockets], [null, null, 0]);
    assert.deepEqual([sum([]), sum([null, 2]), largest([null]), largest([1, 3])], [null, 2, null, 3]);
  });

  test("rise in time, and are bounded", () => {
    const samples = new Samples();
    for (let second = 0; second < 2_000; second += 1) samples.add(sampleOf(answer(second, [])));
    samples.add(sampleOf(answer(5, [])));
    assert.ok(samples.all.length <= 900);
    assert.deepEqual(samples.lines(["stored"]).map((line) => line.length), [samples.all.length, samples.all.length]);
  });

  test("are put into words", () => {
    assert.deepEqual([0, 999, 1_500, 268_435_456].map(bytes), ["0 B", "999 B", "1.5 kB", "268 MB"]);
    assert.deepEqual([30, 60, 7_200, 86_400].map(age), ["30 s", "1 minute", "2 hours", "1 day"]);
  });
});

test("an event that is read from the log and comes live as well counts once", async () => {
  const { Once } = await import("../../console/rooms/once.js");
  const once = new Once();
  assert.deepEqual([...once.of([{ cursor: "Ra-1" }, { cursor: "Ra-2" }, { cursor: "Ra-1" }])], [{ cursor: "Ra-1" }, { cursor: "Ra-2" }]);
  assert.deepEqual([...once.of([{ cursor: "Ra-2" }, { cursor: "Ra-3" }])], [{ cursor: "Ra-3" }]);
});
