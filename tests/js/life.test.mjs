// The picture of a connection's life shows what the code does: all states, and all ways from one to another.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { FakeSocket, open } from "./fake_socket.mjs";

const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const found = (text, pattern) => [...text.matchAll(pattern)].map(([, what]) => what).sort();

const greet = () => FakeSocket.last.greet();
const lose = () => FakeSocket.last.lose();
const refuse = () => FakeSocket.last.lose(4403);
const close = ({ connection }) => connection.close();
const again = async ({ connection, tick }) => {
  lose();
  await tick(connection.state.retryInMs);
};

/** How one gets into a state, from the first one on. */
const INTO = { connecting: [], connected: [greet], recovering: [greet, lose] };

const WAYS = {
  "connecting connected": greet,
  "connecting recovering": () => FakeSocket.last.greet({ recovered: false }),
  "connecting connecting": again,
  "connecting failed": refuse,
  "connecting disconnected": close,
  "connected recovering": lose,
  "connected failed": refuse,
  "connected disconnected": close,
  "recovering connected": greet,
  "recovering recovering": again,
  "recovering failed": refuse,
  "recovering disconnected": close,
};

test("it shows the states that there are", () => {
  const [states] = /@property \{("connecting"[^}]+)\} state/.exec(read("sdk/js/line.js")).slice(1);
  assert.deepEqual(found(read("docs/connection.svg"), /data-state="(\w+)"/g), found(states, /"(\w+)"/g));
  assert.ok(read("docs/clients.md").includes("(connection.svg)"));
});

test("it shows the ways that there are", () => {
  assert.deepEqual(found(read("docs/connection.svg"), /data-edge="(\w+ \w+)"/g), Object.keys(WAYS).sort());
});

for (const [way, go] of Object.entries(WAYS)) {
  test(`there is a way: ${way}`, async (t) => {
    const [from, to] = way.split(" ");
    const opened = await open(t);
    for (const step of INTO[from]) step();
    if (from === "recovering") await opened.tick(opened.connection.state.retryInMs);
    const states = [opened.connection.state.state];
    opened.connection.on("state", ({ state }) => states.push(state));
    await go(opened);
    assert.deepEqual([states[0], states.at(-1)], [from, to]);
    assert.ok(states.every((state) => state === from || state === to), states.join(" "));
  });
}
