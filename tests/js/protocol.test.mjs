// The conversation that docs/protocol.md shows, as the client hears it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { connect } from "../../sdk/js/mesh.js";

const page = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");
const section = (title) => page.split(`\n${title}\n`)[1].split(/\n##+ /)[0];
const framesOf = (title) => [...section(title).matchAll(/```json\n([^]*?)```/g)].flatMap(([, code]) => code.trim().split("\n"));

class Socket {
  static last;
  constructor(url) {
    this.url = new URL(url);
    Socket.last = this;
  }
  close() {}
}

/** Hear frames, and give what an application is told. */
async function hear(frames, since) {
  const connection = connect("chat_s1", { base: "http://mesh:8000/", WebSocket: Socket, since });
  const told = [];
  for (const type of ["*", "gap", "recovered", "error"]) connection.on(type, (event) => told.push([type, event]));
  await new Promise(setImmediate);
  for (const data of frames) {
    told.push(["state", connection.state.state]);
    Socket.last.onmessage({ data });
  }
  const reached = connection.since;
  connection.close();
  return { told, reached, asked: Socket.last.url.searchParams.get("since") };
}

test("a client that comes back is given what it missed, once and in order", async () => {
  const frames = framesOf("## A conversation");
  assert.equal(frames.length, 5);
  const { told, reached, asked } = await hear(frames, "Rqoe5lf-3");
  assert.equal(asked, "Rqoe5lf-3");
  assert.deepEqual(
    told.filter(([type]) => type === "*").map(([, event]) => event.payload.content),
    ["Is anyone there?", "I am.", "Good."],
  );
  assert.deepEqual(told.filter(([type]) => type === "state").map(([, state]) => state), [
    "connecting",
    "recovering",
    "recovering",
    "recovering",
    "connected",
  ]);
  assert.equal(told.filter(([type]) => type === "recovered").length, 1);
  assert.equal(reached, "Rqoe5lf-6.Snx8bbn-1");
});

test("the same frames once more tell nothing new", async () => {
  const frames = framesOf("## A conversation");
  const { told } = await hear([...frames, ...frames.slice(1, 3)], "Rqoe5lf-3");
  assert.equal(told.filter(([type]) => type === "*").length, 3);
});

test("a gap is told, and the positions go on behind it", async () => {
  const { told, reached } = await hear([...framesOf("### `connection`"), ...framesOf("### `gap`")], "Rzzzzzz-3");
  assert.deepEqual(told.find(([type]) => type === "gap")[1], { from: "Rzzzzzz-3", to: "Rqoe5lf-1", reason: "reset" });
  assert.equal(reached, "Rqoe5lf-1.Snx8bbn-1");
});

test("a notice has no position", async () => {
  const { told, reached } = await hear(framesOf("### Events").filter((line) => line.includes("system.notice")), "Rqoe5lf-3");
  assert.equal(told.filter(([type]) => type === "*").length, 1);
  assert.equal(reached, "Rqoe5lf-3");
});
