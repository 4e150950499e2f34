// How the page knows agents and tasks: what the API told, and what events changed since.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { duration, progressOf } from "../../console/store/progress.js";
import { MeshState } from "../../console/store/state.js";
import { compareCursors } from "../../sdk/js/mesh.js";

const at = (second) => `2026-03-01T10:${String(Math.floor(second / 60)).padStart(2, "0")}:${String(second % 60).padStart(2, "0")}Z`;
const event = (subject, seq, payload) => {
  const [domain, , verb] = subject.split(".");
  return { event_type: `${domain}.${verb}`, subject, cursor: `Sk3f-${seq}`, timestamp: at(seq), payload };
};
const agent = (id, status, seq, more = {}) => ({ agent_id: id, status, activity: null, cursor: `Sk3f-${seq}`, last_seen: at(seq), ...more });
const task = (id, status, seq, more = {}) => ({ task_id: id, status, agent_id: "scout", cursor: `Sk3f-${seq}`, timestamp: at(seq), ...more });
const fresh = (most) => new MeshState(compareCursors, most);

describe("agents", () => {
  test("are as the newest event or answer says, whichever comes first", () => {
    const state = fresh();
    state.apply(event("agent.scout.status", 5, { status: "busy" }));
    state.apply(event("agent.scout.activity", 6, { activity: { state: "searching", query: "x" } }));
    state.load([agent("scout", "online", 4, { activity: "sleeping" })], []);
    assert.deepEqual(state.agents.map(({ status, does }) => [status, does]), [["busy", "searching · query x"]]);
    state.load([agent("scout", "offline", 9, { activity: "done" })], []);
    assert.equal(state.apply(event("agent.scout.status", 7, { status: "busy" })), false);
    assert.equal(state.apply(event("agent.scout.activity", 8, { activity: "late" })), false);
    assert.deepEqual(state.agents.map(({ status, does }) => [status, does]), [["offline", "done"]]);
  });

  test("known by their heartbeats alone have no cursor, and are told of by events later", () => {
    const state = fresh();
    state.load([agent("quiet", "online", 1, { cursor: null })], []);
    assert.equal(state.agents[0].there, true);
    state.apply(event("agent.quiet.status", 1, { status: "offline" }));
    assert.equal(state.agents[0].there, false);
  });

  test("that fell silent were not seen when others told of it", () => {
    const state = fresh();
    state.apply(event("agent.scout.status", 3, { status: "online" }));
    state.apply(event("agent.scout.status", 30, { status: "offline", reason: "silent" }));
    assert.deepEqual(state.agents.map(({ status, at: seen }) => [status, seen]), [["offline", Date.parse(at(3))]]);
  });

  test("stand by their names while they are there, then by when they were heard of", () => {
    const state = fresh();
    state.load([agent("b", "busy", 1), agent("a", "online", 2), agent("old", "offline", 3), agent("new", "offline", 4), agent("c", null, 5)], []);
    assert.deepEqual(state.agents.map(({ id }) => id), ["a", "b", "c", "new", "old"]);
  });

  test("and tasks are bounded: those that are there and open are kept", () => {
    const state = fresh({ agents: 8, tasks: 8 });
    for (let i = 1; i <= 200; i += 1) {
      state.apply(event(`agent.a${i}.status`, i, { status: i < 4 ? "online" : "offline" }));
      state.apply(event(`task.t${i}.update`, i, { status: i < 4 ? "running" : "completed" }));
    }
    assert.ok(state.agents.length <= 10 && state.tasks.length <= 10);
    assert.deepEqual(state.agents.slice(0, 3).map(({ id }) => id), ["a1", "a2", "a3"]);
    assert.deepEqual(state.tasks.slice(0, 3).map(({ id }) => id), ["t3", "t2", "t1"]);
  });

  test("are not confused by whatever stands in an event", () => {
    const state = fresh();
    for (const payload of [null, "x", 7, {}, { status: { x: 1 } }, { status: [] }, { activity: undefined }, { progress: [] }])
      for (const subject of ["agent.x.status", "agent.x.activity", "task.x.update", "task.x.update.y"])
        state.apply({ ...event(subject, 1, payload), cursor: `Sk3f-${Math.random().toString().slice(2, 8)}` });
    state.apply({ event_type: "task.update", payload: {} });
    state.apply({ event_type: "agent.status", subject: "", cursor: "", payload: {} });
    assert.ok(state.agents.every(({ status, does }) => typeof status === "string" && typeof does === "string"));
  });
});

describe("tasks", () => {
  test("are as their newest update says, by the author of its subject", () => {
    const state = fresh();
    state.load([], [task("t", "running", 3, { title: "Index" })]);
    assert.equal(state.apply(event("task.t.update.other", 2, { status: "completed" })) && state.task("t").status, "running");
    state.apply(event("task.t.update.clerk", 4, { status: "failed", agent_id: "scout", reason: "no paper" }));
    const { agent: who, title, status, open, reason } = state.task("t");
    assert.deepEqual([who, title, status, open, reason], ["clerk", "Index", "failed", false, "no paper"]);
  });

  test("keep their places while they go on", () => {
    const state = fresh();
    for (const [id, seq] of [["a", 1], ["b", 2], ["c", 3], ["a", 4], ["b", 5]]) state.apply(event(`task.${id}.update`, seq, { status: "running" }));
    assert.deepEqual(state.tasks.map(({ id }) => id), ["c", "b", "a"]);
    state.apply(event("task.c.update", 6, { status: "completed" }));
    assert.deepEqual(state.tasks.map(({ id }) => id), ["b", "a", "c"]);
  });

  test("of another life of the log are forgotten", () => {
    const state = fresh();
    state.load([agent("scout", "online", 90)], [task("t", "running", 90)]);
    state.clear();
    state.apply({ ...event("task.t.update", 1, { status: "completed" }), cursor: "Snew-1" });
    assert.deepEqual([state.agents, state.task("t").status], [[], "completed"]);
  });
});

describe("progress", () => {
  test("is a share and words", () => {
    assert.deepEqual(progressOf({ done: 3, total: 12, rate: 2, eta_s: 4.5, note: "a.txt" }), { share: 0.25, words: "3 of 12 · 2/s · 5 s left", note: "a.txt" });
    assert.deepEqual(progressOf({ done: 3, total: 12, rate: 2, eta_s: 4.5 }, false).words, "3 of 12");
    assert.deepEqual(progressOf({ done: 7, total: null, rate: null, eta_s: null, note: null }), { share: undefined, words: "7", note: "" });
    assert.deepEqual(progressOf(0.4), { share: 0.4, words: "40 %", note: "" });
    assert.equal(progressOf(40).share, 0.4);
    assert.deepEqual(progressOf("half of it"), { share: undefined, words: "", note: "half of it" });
    assert.deepEqual(progressOf({ step: "two" }).note, "step two");
    for (const odd of [null, undefined, [], {}, { done: "x", total: 0 }, { done: 1, total: 0 }, { done: NaN, total: 1 }, { done: 9, total: 3 }]) {
      const { share } = progressOf(odd);
      assert.ok(share === undefined || (share >= 0 && share <= 1));
    }
  });

  test("tells what is left as people do", () => {
    assert.deepEqual([0.2, 4.4, 59.4, 90, 3_569, 3_600, 90_000, 400_000].map(duration), ["less than 1 s", "4 s", "59 s", "2 min", "59 min", "1 h 0 min", "25 h 0 min", "5 days"]);
  });
});
