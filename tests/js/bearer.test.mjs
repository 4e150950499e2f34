// Tokens: asked for before they expire, on the server's clock, and shown over the socket that there is.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { claimsOf } from "../../sdk/js/bearer.js";
import { FakeSocket, open } from "./fake_socket.mjs";

const jwt = (claims) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.s`;
const at = (ms) => new Date(ms).toISOString();
const greeting = (ms, more = {}) => ({
  event_type: "connection",
  payload: { status: "connected", recovered: true, cursors: {}, ...more },
  timestamp: at(ms),
});

/** A connection whose tokens live for `lifeMs`; `ahead` is how much the server's clock is ahead of this one. */
async function renewing(t, { lifeMs = 600_000, ahead = 0, getToken } = {}) {
  const tokens = [];
  const give = () => {
    tokens.push(jwt({ sub: "ada", n: tokens.length, exp: (Date.now() + ahead + lifeMs) / 1_000 }));
    return tokens.at(-1);
  };
  const opened = await open(t, { getToken: getToken ?? give });
  FakeSocket.last.readyState = 1;
  FakeSocket.last.receive(greeting(Date.now() + ahead));
  const shown = () => FakeSocket.last.sent.filter(({ type }) => type === "auth").map(({ token }) => token);
  const alive = async (ms) => {
    for (; ms > 0; ms -= 1_000) {
      await opened.tick(Math.min(ms, 1_000));
      FakeSocket.last.receive({ event_type: "pong" });
    }
  };
  return { ...opened, tokens, shown, alive };
}

describe("a token", () => {
  test("says until when it is good, and whose it is", () => {
    assert.equal(claimsOf(jwt({ exp: 12 })).exp, 12);
    assert.equal(claimsOf(jwt({ exp: 1.5, sub: "Ad\u00e9la\u00efde \u4f60 \u00ff", z: "???>>>" })).exp, 1.5);
    for (const other of ["", "a", "a.b.c", jwt({}), jwt(null), "a.!.b"]) assert.deepEqual(claimsOf(other), {}, other);
  });

  test("is renewed a minute before it expires, over the same socket", async (t) => {
    const { tokens, shown, alive, connection } = await renewing(t);
    await alive(539_000);
    assert.equal(tokens.length, 1);
    await alive(2_000);
    assert.deepEqual(shown(), [tokens[1]]);
    FakeSocket.last.receive({ event_type: "auth", payload: { status: "renewed", user: "ada" } });
    await alive(541_000);
    assert.deepEqual(shown(), [tokens[1], tokens[2]]);
    assert.equal(FakeSocket.made.length, 1);
    assert.equal(connection.state.state, "connected");
  });

  test("that lives for less than three minutes is renewed after two thirds", async (t) => {
    const { shown, alive } = await renewing(t, { lifeMs: 9_000 });
    await alive(5_750);
    assert.deepEqual(shown(), []);
    await alive(500);
    assert.equal(shown().length, 1);
  });

  for (const ahead of [-3_600_000, 3_600_000]) {
    test(`expires by the server's clock, which is ${ahead} ms ahead`, async (t) => {
      const { shown, alive } = await renewing(t, { ahead });
      await alive(539_000);
      assert.equal(shown().length, 0);
      await alive(2_000);
      assert.equal(shown().length, 1);
    });
  }

  test("is asked for again where there is no other one yet", async (t) => {
    let asked = 0;
    const old = jwt({ exp: 600 }); // the clock begins at 0
    const first = [() => old, () => old, () => Promise.reject(new Error("the login is away")), () => null];
    let fresh = "";
    const { shown, alive, log } = await renewing(t, {
      getToken: () => (first[asked++] ?? (() => (fresh = jwt({ exp: 1_200 + Date.now() / 1_000 }))))(),
    });
    await alive(541_000);
    assert.equal(asked, 2);
    await alive(58_000);
    assert.equal(asked, 5);
    assert.deepEqual(shown(), [fresh]);
    assert.deepEqual(log, []);
  });

  test("is not shown to another connection than the one it was asked for", async (t) => {
    const answers = [];
    let asked = 0;
    const getToken = () => {
      asked += 1;
      return asked === 2 ? new Promise((resolve) => answers.push(resolve)) : jwt({ n: asked, exp: 600 + Date.now() / 1_000 });
    };
    const { shown, alive, tick } = await renewing(t, { getToken });
    await alive(541_000);
    assert.equal(answers.length, 1);
    FakeSocket.last.lose();
    await tick(250);
    FakeSocket.last.greet();
    answers[0](jwt({ late: true, exp: 9_999 }));
    await tick(0);
    assert.deepEqual(shown(), []);
    assert.equal(FakeSocket.made.length, 2);
    assert.equal(asked, 3);
  });

  test("is not renewed where nobody asks for any, and the application is not told", async (t) => {
    const { tokens, alive, log } = await renewing(t);
    await alive(541_000);
    FakeSocket.last.receive({ event_type: "error", payload: { code: "auth_too_late", message: "nobody asks" } });
    await alive(1_200_000);
    assert.equal(tokens.length, 2);
    assert.deepEqual(log, []);
  });

  test("that says nothing of its end is left alone", async (t) => {
    const { shown, alive } = await renewing(t, { getToken: () => "no-jwt" });
    await alive(1_200_000);
    assert.deepEqual(shown(), []);
    assert.equal(FakeSocket.made.length, 1);
  });

  test("is asked for afresh after 4401, which an application may tell by nothing but a short recovery", async (t) => {
    const { tokens, alive, tick, states, connection } = await renewing(t);
    await alive(1_000);
    FakeSocket.last.lose(4401, "the token has expired");
    await tick(250);
    assert.deepEqual(FakeSocket.last.protocols, ["mesh.v1", `bearer.${tokens[1]}`]);
    FakeSocket.last.greet();
    assert.deepEqual(states, ["connected", "recovering", "connected"]);
    connection.close();
    await tick(1_200_000);
    assert.equal(tokens.length, 2, "nothing is asked for after the end");
  });
});
