// The page's state: the list of sessions, one conversation, and how events are put into words.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Conversation } from "../../sdk/js/conversation.js";
import { hue, short, summary } from "../../console/format.js";
import { covers } from "../../console/subjects.js";
import { SessionList } from "../../console/store/sessions.js";
import { compareCursors } from "../../sdk/js/mesh.js";

const at = (second) => `2026-03-01T10:00:${String(second).padStart(2, "0")}Z`;
const session = (id, second, more = {}) => ({ session_id: id, title: `Title ${id}`, updated_at: at(second), ...more });
const said = (id, second, content = "hi", more = {}) => ({
  event_type: "chat.message",
  cursor: `Rk3f-${second}`,
  timestamp: at(second),
  payload: { session_id: id, sender: "scout", content, message_id: `m${second}`, ...more },
});

describe("sessions", () => {
  test("stand newest first, by update or last message", () => {
    const list = new SessionList();
    list.load([session("a", 1), session("b", 2), session("c", 3)]);
    list.apply(said("a", 9));
    assert.deepEqual(list.newestFirst.map(({ id }) => id), ["a", "c", "b"]);
    assert.equal(list.find("a").preview, "scout: hi");
  });

  test("appear with their event, and with a message alone", () => {
    const list = new SessionList();
    list.apply({ event_type: "session.created", timestamp: at(1), payload: { session_id: "a", title: "", session: session("a", 1) } });
    list.apply(said("test_session", 2, "Hello!", { sender: "user" }));
    assert.deepEqual(list.newestFirst.map(({ title }) => title), ["test_session", "Title a"]);
    assert.equal(list.find("test_session").preview, "You: Hello!");
    list.apply({ event_type: "session.created", timestamp: at(3), payload: { session_id: "test_session", session: session("test_session", 3) } });
    assert.equal(list.find("test_session").title, "Title test_session");
    assert.equal(list.find("test_session").preview, "You: Hello!");
  });

  test("take the later state, whichever comes first", () => {
    const list = new SessionList();
    list.apply({ event_type: "session.updated", timestamp: at(5), payload: { session_id: "a", updates: { title: "New" }, session: session("a", 5, { title: "New" }) } });
    list.load([session("a", 1, { title: "Old" })]);
    assert.equal(list.find("a").title, "New");
  });

  test("take what the API lists over what a message alone has shown", () => {
    const list = new SessionList();
    list.apply(said("a", 9));
    assert.equal(list.find("a").title, "a");
    list.load([session("a", 1)]);
    assert.deepEqual([list.find("a").title, list.find("a").at], ["Title a", Date.parse(at(9))]);
  });

  test("keep what was not read over a reload, and count no word of one's own", () => {
    const list = new SessionList((who) => who === "ada");
    list.load([session("a", 1), session("b", 1)]);
    list.apply(said("a", 2));
    list.apply(said("a", 3, "mine", { sender: "ada" }));
    assert.deepEqual(list.unread, { a: 1 });
    const again = new SessionList(undefined, list.unread);
    again.load([session("a", 1), session("b", 1)]);
    again.apply(said("a", 4));
    assert.deepEqual([again.find("a").unread, again.find("b").unread], [2, 0]);
    again.read("a");
    assert.deepEqual(again.unread, {});
  });

  test("do not come back once deleted", () => {
    const list = new SessionList();
    list.load([session("a", 1)]);
    assert.equal(list.apply({ event_type: "session.deleted", payload: { session_id: "a" } }), true);
    list.load([session("a", 1)]);
    list.apply(said("a", 2));
    assert.deepEqual(list.newestFirst, []);
  });

  test("leave once the API lists them no more", () => {
    const list = new SessionList();
    const all = { isFirst: true, isLast: true };
    const ids = () => list.newestFirst.map(({ id }) => id).join("");
    list.list([session("a", 9), session("b", 8), session("c", 7), session("d", 6)], all);
    list.load([session("e", 10)]); // made here, and not listed yet
    list.read("c");
    list.list([session("a", 9), session("d", 6)], all);
    assert.equal(ids(), "eacd"); // what is open is told of itself
    list.read("");
    list.list([session("a", 9)], { isFirst: true, isLast: false });
    assert.equal(ids(), "eacd"); // older than all that was asked for
    list.list([session("d", 6)], { isFirst: false, isLast: true });
    assert.equal(ids(), "eacd");
    list.asked();
    list.apply(said("c", 20)); // it came to the top meanwhile
    list.list([session("d", 6)], { isFirst: true, isLast: false });
    assert.equal(ids(), "ced");
    list.list([], all);
    assert.equal(ids(), "ce");
    list.list([session("a", 9)], all);
    assert.equal(ids(), "cea"); // shared again
  });

  test("count what was not read, once, and not what is old", () => {
    const list = new SessionList();
    list.read("b");
    list.apply(said("a", 1), false);
    list.apply(said("a", 2));
    list.apply(said("a", 3));
    list.apply(said("b", 4));
    assert.deepEqual([list.find("a").unread, list.find("b").unread], [2, 0]);
    list.read("a");
    assert.equal(list.find("a").unread, 0);
  });

  test("show the listed last message and the scope", () => {
    const list = new SessionList();
    list.load([session("a", 1, { scope_type: "department", scope_id: "HR", last_message: said("a", 4, "bye") })]);
    assert.deepEqual(list.newestFirst.map(({ preview, scope }) => [preview, scope]), [["scout: bye", "department · HR"]]);
    assert.equal(list.find("a").at, Date.parse(at(4)));
  });

  test("are not changed by what is none of theirs", () => {
    const list = new SessionList();
    for (const payload of [undefined, null, {}, { session_id: "" }, { agent_id: "x" }]) {
      assert.equal(list.apply({ event_type: "agent.activity", payload }), false);
    }
    assert.equal(list.apply({ event_type: "chat.delta", payload: { session_id: "a" } }), false);
  });
});

describe("patterns of subjects", () => {
  for (const [pattern, other, expected] of [
    [">", "session.*.*", true],
    ["session.>", "session.*.*", true],
    ["session.*.*", "session.*.*", true],
    ["session.*.updated", "session.s1.updated", true],
    ["session.s1.updated", "session.s1.updated", true],
    ["session.*.updated", "session.*.*", false],
    ["session.s1.>", "session.*.*", false],
    ["session.*", "session.s1.updated", false],
    ["session.s1.updated.>", "session.s1.updated", false],
    ["session.s1.updated.*", "session.s1.updated", false],
  ]) {
    test(`${pattern} ${expected ? "covers" : "does not cover"} ${other}`, () => assert.equal(covers(pattern, other), expected));
  }
});

describe("a conversation", () => {
  const open = () => new Conversation("s1", compareCursors);
  const shown = (conversation) => conversation.items.map(({ content, status }) => `${content} ${status}`);

  test("shows a message that comes twice once, in the order of the log", () => {
    const talk = open();
    assert.equal(talk.apply(said("s1", 3, "c")), true);
    assert.equal(talk.apply(said("s1", 1, "a")), true);
    assert.equal(talk.apply(said("s1", 10, "d")), true);
    assert.equal(talk.apply(said("s1", 2, "b")), true);
    assert.equal(talk.apply(said("s1", 3, "c")), false);
    assert.deepEqual(shown(talk), ["a stored", "b stored", "c stored", "d stored"]);
  });

  test("tells two messages without an id of their own apart", () => {
    const talk = open();
    for (const second of [1, 2]) talk.apply({ ...said("s1", second, "same"), payload: { content: "same" } });
    assert.deepEqual(talk.items.map(({ sender }) => sender), ["unknown", "unknown"]);
  });

  test("shows one's own message at once and then as stored, in the same place", () => {
    const talk = open();
    talk.send("key", "user", "mine");
    assert.deepEqual(shown(talk), ["mine sending"]);
    talk.sent("key", { message_id: "m5", cursor: "Rk3f-5" });
    assert.deepEqual(shown(talk), ["mine stored"]);
    assert.equal(talk.apply(said("s1", 5, "mine", { sender: "user" })), false);
    assert.equal(talk.items[0].key, "key");
  });

  test("shows it once when it comes live before the answer", () => {
    const talk = open();
    talk.send("key", "user", "mine");
    talk.apply(said("s1", 5, "mine", { sender: "user" }));
    assert.deepEqual(talk.items.map(({ key, status }) => [key, status]), [["key", "stored"]]);
    talk.sent("key", { message_id: "m5", cursor: "Rk3f-5" });
    assert.deepEqual(shown(talk), ["mine stored"]);
  });

  test("ends right when two windows say the same at the same time", () => {
    const talk = open();
    talk.send("key", "user", "yes");
    talk.apply(said("s1", 4, "yes", { sender: "user" }));
    talk.sent("key", { message_id: "m5", cursor: "Rk3f-5" });
    talk.apply(said("s1", 5, "yes", { sender: "user" }));
    assert.deepEqual(talk.items.map(({ messageId }) => messageId), ["m4", "m5"]);
    assert.equal(new Set(talk.items.map(({ key }) => key)).size, 2);
  });

  test("keeps what failed, for a retry or to be discarded", () => {
    const talk = open();
    talk.send("key", "user", "mine");
    talk.failed("key", "The mesh does not answer.");
    assert.deepEqual(talk.items.map(({ status, reason }) => [status, reason]), [["failed", "The mesh does not answer."]]);
    talk.discard("key");
    assert.deepEqual(talk.items, []);
  });

  test("puts streamed pieces together, and the message in their place", () => {
    const talk = open();
    const delta = (index, text) => ({ event_type: "chat.delta", timestamp: at(1), payload: { sender: "daena", message_id: "m7", index, text } });
    talk.apply(delta(0, "Hel"));
    talk.apply(delta(2, "!"));
    talk.apply(delta(1, "lo"));
    talk.apply(delta(1, "lo"));
    assert.deepEqual(shown(talk), ["Hello! streaming"]);
    const { key } = talk.items[0];
    talk.apply(said("s1", 7, "Hello!", { sender: "daena" }));
    assert.deepEqual(shown(talk), ["Hello! stored"]);
    assert.equal(talk.items[0].key, key);
    assert.equal(talk.apply(delta(3, "late")), false);
  });

  test("begins a streamed message anew when another takes it over", () => {
    const talk = open();
    const delta = (run, index, text) => ({ event_type: "chat.delta", timestamp: at(1), payload: { sender: "daena", message_id: "m7", run, index, text } });
    assert.equal(talk.apply(delta("a", 0, "")), true);
    assert.deepEqual(shown(talk), [" streaming"]);
    assert.equal(talk.apply(delta("a", 1, "Hello")), true);
    assert.equal(talk.apply(delta("a", 2, "")), false);
    talk.apply(delta("b", 0, "Good day"));
    assert.equal(talk.apply(delta("a", 3, " there")), false);
    assert.deepEqual(shown(talk), ["Good day streaming"]);
  });

  test("says what is incomplete, and why", () => {
    const talk = open();
    talk.apply(said("s1", 1, "so far", { metadata: { incomplete: true, reason: "stopped" } }));
    talk.apply(said("s1", 2, "whole", { metadata: { incomplete: "yes", reason: "x" } }));
    talk.apply(said("s1", 3, "odd", { metadata: null }));
    talk.apply(said("s1", 4, "odd too", { metadata: { incomplete: true } }));
    assert.deepEqual(talk.items.map(({ incomplete, reason }) => [incomplete, reason]), [[true, "stopped"], [false, ""], [false, ""], [true, ""]]);
  });

  test("knows who is typing, for five seconds or until they spoke", () => {
    const talk = open();
    const typing = (sender) => ({ event_type: "chat.typing", timestamp: at(10), payload: { sender } });
    talk.apply(typing("scout"));
    talk.apply(typing("daena"));
    assert.deepEqual(talk.typing(Date.parse(at(14))), ["scout", "daena"]);
    talk.apply(said("s1", 12));
    assert.deepEqual(talk.typing(Date.parse(at(14))), ["daena"]);
    assert.deepEqual(talk.typing(Date.parse(at(15))), []);
  });

  test("is not upset by any payload", () => {
    const talk = open();
    for (const payload of [null, undefined, "x", 5, [], {}, { content: { deep: 1 }, sender: ["a"], message_id: 5 }]) {
      for (const event_type of ["chat.message", "chat.delta", "chat.typing", "agent.activity"]) talk.apply({ event_type, payload });
    }
    for (const { content, sender, key } of talk.items) assert.deepEqual([content, sender, key].map((each) => typeof each), ["string", "string", "string"]);
  });
});

describe("words", () => {
  for (const [type, payload, text] of [
    ["chat.message", { sender: "user", content: "two\nlines" }, "user: two lines"],
    ["chat.delta", { sender: "daena", text: "" }, "daena is writing"],
    ["agent.activity", { activity: "resting" }, "resting"],
    ["agent.activity", { activity: { query: "nats" } }, "query nats"],
    ["task.update", { status: "running", progress: 40 }, "running · 40"],
    ["task.update", { status: "failed", progress: null }, "failed"],
    ["session.updated", { session_id: "s", updates: { title: "T" } }, "title T"],
    ["presence.join", { who: "ann", count: 3 }, "ann joined · 3 here"],
    ["system.notice", { text: "Maintenance" }, "Maintenance"],
    ["system.notice", { any: { thing: 1 } }, 'any {"thing":1}'],
    ["chat.reaction", { emoji: "+1" }, "emoji +1"],
    ["chat.message", null, ""],
    ["agent.activity", {}, ""],
    ["brain.status", { status: [1, 2] }, "[1,2]"],
  ]) {
    test(`${type} ${JSON.stringify(payload)}`, () => assert.equal(summary({ event_type: type, payload }), text));
  }

  test("are cut", () => {
    assert.equal(short("x".repeat(200), 10), "xxxxxxxxx…");
  });

  test("have a colour for each name", () => {
    assert.equal(hue("scout"), hue("scout"));
    assert.ok(hue("daena") >= 0 && hue("daena") < 360);
  });
});
