// A mesh by plain HTTP: what a WebSocket of it would say, said by responses of a real HTTP server.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";

import { connect } from "../../sdk/js/mesh.js";
import { Parser, SseSocket } from "../../sdk/js/sse.js";

test("a stream is cut into events wherever its pieces end", () => {
  const stream = ': hello\n\nid: R1-1\ndata: {"a":\ndata: 1}\n\nretry: 250\r\ndata: x\r\n\r\ndata\n\nevent: y\n\nretry: soon\n\ndata:  two\r\r';
  const whole = [{}, { data: '{"a":\n1}' }, { retry: 250 }, { data: "x" }, { data: "" }, { data: " two" }];
  assert.deepEqual(new Parser().feed(`${stream}\n`), whole);
  for (const size of [1, 2, 3, 7]) {
    const parser = new Parser();
    const found = [];
    for (let at = 0; at < stream.length; at += size) found.push(...parser.feed(stream.slice(at, at + size)));
    assert.deepEqual([...found, ...parser.feed("\n")], whole, `in pieces of ${size}`);
  }
});

/** Serve with `answer`, and give what behaves like a socket there, with all it hears. */
async function socket(t, answer, { path = "ws/chat/s1?since=R1-1", protocols = [] } = {}) {
  const asked = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const piece of request) body += piece;
    asked.push({ url: request.url, method: request.method, headers: request.headers, body: body && JSON.parse(body) });
    answer(request, response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const made = new SseSocket(`ws://127.0.0.1:${server.address().port}/${path}`, protocols);
  const heard = [];
  const waiting = [];
  const told = (what) => {
    heard.push(what);
    for (const check of waiting) check();
  };
  made.onmessage = ({ data }) => told(JSON.parse(data));
  made.onclose = ({ code, reason }) => told({ code, reason });
  const next = (count) =>
    new Promise((resolve) => {
      const check = () => heard.length >= count && resolve(heard.slice(0, count));
      waiting.push(check);
      check();
    });
  t.after(() => {
    made.close();
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { made, asked, next };
}

const stream = (response, text) => {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.write(text);
};

const CONNECTED = 'data: {"event_type":"connection","payload":{"status":"connected"}}\n\n';
const connected = { event_type: "connection", payload: { status: "connected" } };

test("one topic: frames, comments as signs of life, and when to come back", async (t) => {
  const { made, asked, next } = await socket(
    t,
    (_, response) => {
      stream(response, `${CONNECTED}:\n\nretry: 300\n`);
      response.end("\n");
    },
    { protocols: ["mesh.v1", "bearer.jwt"] },
  );
  assert.deepEqual(await next(4), [
    connected,
    { event_type: "pong" },
    { event_type: "reconnect", payload: { after_ms: 300 } },
    { code: 1012, reason: "the stream ended" },
  ]);
  assert.equal(asked[0].url, "/sse/chat/s1?since=R1-1");
  assert.equal(asked[0].headers.authorization, "Bearer jwt");
  assert.equal(made.readyState, 3);
});

for (const [status, headers, heard] of [
  [400, {}, [{ code: 4400, reason: "no" }]],
  [401, {}, [{ code: 4401, reason: "no" }]],
  [403, {}, [{ code: 4403, reason: "no" }]],
  [429, {}, [{ code: 4429, reason: "no" }]],
  [500, {}, [{ code: 1006, reason: "no" }]],
  [503, { "Retry-After": "2" }, [{ event_type: "reconnect", payload: { after_ms: 2000 } }, { code: 1012, reason: "no" }]],
  [429, { "Retry-After": "3" }, [{ event_type: "reconnect", payload: { after_ms: 3000 } }, { code: 1012, reason: "no" }]],
]) {
  test(`a refusal with ${status} is told as its close code${"Retry-After" in headers ? ", and when to come back" : ""}`, async (t) => {
    const { next } = await socket(t, (_, response) => response.writeHead(status, headers).end('{"detail":"no"}'));
    assert.deepEqual(await next(heard.length), heard);
  });
}

test("many topics: a response for each, which comes and goes by itself", async (t) => {
  const { made, asked, next } = await socket(
    t,
    (request, response) => {
      if (request.url.includes("forbidden")) response.writeHead(403).end('{"title":"not yours"}');
      else stream(response, 'data: {"event_type":"connection","payload":{"connection_id":"chat_s1"}}\n\n');
    },
    { path: "behind/ws" },
  );
  assert.deepEqual(await next(1), [connected]);
  made.send(JSON.stringify({ type: "subscribe", topic: "chat_s1", since: "R1-1", types: ["chat.message", "chat.delta"] }));
  assert.deepEqual((await next(2))[1], { event_type: "connection", payload: { connection_id: "chat_s1" } });
  assert.equal(asked[0].url, "/behind/sse/chat/s1?since=R1-1&types=chat.message%2Cchat.delta");
  made.send(JSON.stringify({ type: "unsubscribe", topic: "chat_s1" }));
  assert.deepEqual((await next(3))[2].payload, { status: "disconnected", connection_id: "chat_s1" });
  made.send(JSON.stringify({ type: "subscribe", topic: "agent_forbidden" }));
  assert.deepEqual((await next(4))[3].payload, { id: "+agent_forbidden", code: "bad_topic", message: "not yours" });
});

test("a fresh token is shown by asking anew for each topic, from where it stands", async (t) => {
  const greeting = (topic, id) => `id: ${id}\ndata: {"event_type":"connection","payload":{"connection_id":"${topic}"}}\n\n`;
  const { made, asked, next } = await socket(
    t,
    // The id of an event that has not come whole does not count.
    (request, response) => stream(response, `${greeting(request.url, "R1-4.S1-2")}id: R1-5.S1-2\ndata: {`),
    { path: "ws", protocols: ["mesh.v1", "bearer.old"] },
  );
  await next(1);
  made.send(JSON.stringify({ type: "subscribe", topic: "chat_s1", history: 20 }));
  made.send(JSON.stringify({ type: "subscribe", topic: "events", since: "R1-2", types: ["chat.message"] }));
  await next(3);
  made.send(JSON.stringify({ type: "auth", token: "fresh" }));
  await next(5);
  assert.deepEqual(asked.map(({ url, headers }) => [url, headers.authorization]).sort(), [
    ["/sse/chat/s1?history=20&since=R1-4.S1-2", "Bearer fresh"],
    ["/sse/chat/s1?history=20", "Bearer old"],
    ["/sse/events?since=R1-2&types=chat.message", "Bearer old"],
    ["/sse/events?since=R1-4.S1-2&types=chat.message", "Bearer fresh"],
  ]);
  assert.equal(made.readyState, 1);
});

for (const [status, body, headers, heard] of [
  [200, { cursor: "R1-7" }, {}, { event_type: "ack", payload: { id: "c1", cursor: "R1-7", duplicate: false } }],
  [503, {}, { "Retry-After": "2" }, { event_type: "error", payload: { id: "c1", code: "not_stored", message: "the API did not store it", retry_after_ms: 2000 } }],
  [410, { detail: "deleted" }, {}, { event_type: "error", payload: { id: "c1", code: "gone", message: "deleted" } }],
  [422, { detail: "other", type: "urn:key-reused" }, {}, { event_type: "error", payload: { id: "c1", code: "id_reused", message: "other" } }],
  [422, { detail: "wrong" }, {}, { event_type: "error", payload: { id: "c1", code: "bad_payload", message: "wrong" } }],
  [401, {}, {}, { code: 4401, reason: "the token is no longer accepted" }],
]) {
  test(`what is sent and answered with ${status} ${body.type ?? ""} is told as an edge would`, async (t) => {
    const { made, asked, next } = await socket(t, (request, response) => {
      if (request.method === "POST") response.writeHead(status, headers).end(JSON.stringify(body));
      else stream(response, CONNECTED);
    });
    await next(1);
    made.send(JSON.stringify({ type: "send", id: "c1", subject: "chat.s1.message", payload: { content: "hi" } }));
    assert.deepEqual((await next(2))[1], heard);
    const { url, headers: given, body: said } = asked.at(-1);
    assert.deepEqual([url, given["idempotency-key"]], ["/api/v1/events", "c1"]);
    assert.deepEqual(said, { event_type: "chat.message", id: "s1", payload: { sender: "user", content: "hi" } });
  });
}

test("what went out by a WebSocket is not sent by another way, which does not know its id", async (t) => {
  class Blocked {
    static last;
    constructor() {
      this.readyState = 1;
      this.sent = [];
      Blocked.last = this;
    }
    send(text) {
      this.sent.push(JSON.parse(text));
    }
    close() {}
  }
  class Other extends Blocked {}
  const options = { base: "http://mesh/", fallback: false, WebSocket: Blocked };
  const connection = connect("chat_s1", options);
  await new Promise(setImmediate);
  Blocked.last.onmessage({ data: JSON.stringify({ event_type: "connection", payload: { recovered: true } }) });
  const tried = connection.send("chat.s1.message", {}, { id: "tried" });
  const other = connection.send("chat.s2.message", {}, { id: "other" });
  assert.equal(Blocked.last.sent.length, 2);
  options.WebSocket = Other;
  Blocked.last.onclose({ code: 1006, reason: "" });
  const fresh = connection.send("chat.s3.message", {}, { id: "fresh" });
  while (!(Blocked.last instanceof Other)) await new Promise((resolve) => setTimeout(resolve, 5));
  Blocked.last.onmessage({ data: JSON.stringify({ event_type: "connection", payload: { recovered: true } }) });
  assert.deepEqual(Blocked.last.sent.map(({ id }) => id), ["fresh"]);
  assert.equal(connection.waiting, 3);
  connection.close();
  for (const each of [tried, other, fresh]) await assert.rejects(each, { code: "closed" });
});
