// A socket and a connection over it, on a clock and with chances that are the test's.

import { mock } from "node:test";

import { connect } from "../../sdk/js/mesh.js";

/** What behaves like a WebSocket, and does what a test says. */
export class FakeSocket {
  /** @type {FakeSocket[]} */
  static made = [];

  constructor(url, protocols) {
    this.url = new URL(url);
    this.protocols = protocols;
    this.readyState = 0;
    this.sent = [];
    FakeSocket.made.push(this);
  }

  static get last() {
    return FakeSocket.made.at(-1);
  }

  greet(payload = {}) {
    this.readyState = 1;
    this.receive({ event_type: "connection", payload: { status: "connected", recovered: true, cursors: {}, ...payload } });
  }

  receive(frame) {
    this.onmessage({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }

  lose(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose({ code, reason });
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.closed = code ?? true;
  }
}

export const settle = async () => {
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
};

export const message = (seq, prev, more = {}) => ({
  event_type: "chat.message",
  cursor: `Rk3f-${seq}`,
  ...(prev && { prev: `Rk3f-${prev}` }),
  payload: { content: `m${seq}` },
  ...more,
});

/** Open a connection whose clock and chance are the test's. */
export async function open(t, options = {}, target = "chat_s1") {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  const random = mock.method(Math, "random", () => 0.5);
  FakeSocket.made = [];
  const connection = connect(target, { base: "http://mesh:8000/", WebSocket: FakeSocket, ...options });
  const log = [];
  for (const type of ["*", "gap", "recovered", "error"]) connection.on(type, (event) => log.push([type, event]));
  const states = [];
  connection.on("state", ({ state }) => states.at(-1) === state || states.push(state));
  t.after(() => {
    connection.close();
    random.mock.restore();
    mock.timers.reset();
  });
  await settle();
  const tick = async (ms) => {
    // In small steps: within one step all timers see the same time.
    for (; ms > 0; ms -= 250) mock.timers.tick(Math.min(ms, 250));
    await settle();
  };
  const seen = () => log.filter(([type]) => type === "*").map(([, event]) => event.cursor);
  return { connection, log, states, seen, tick };
}

// Node has no events of a page.
export const page = new EventTarget();
globalThis.addEventListener = page.addEventListener.bind(page);
globalThis.removeEventListener = page.removeEventListener.bind(page);
