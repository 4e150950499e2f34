/** One socket for many topics, and all who speak over it as if it were their own. No page, no tabs. */

import { byLetter, isCovered, oldest, putOff, stand } from "./holds.js";
import { Pace } from "./pace.js";
import { Positions } from "./positions.js";

/** @typedef {import("./line.js").Socket} Socket */

/**
 * What is told to some of those who speak over a hub: a frame as it came, or that it is over.
 *
 * @typedef {{ text: string } | { code: number, reason: string }} Message
 */

/** @typedef {import("./holds.js").Shared} Shared */

const DEAD_AFTER_MS = 4_000;
const OPEN_WITHIN_MS = 10_000;

/** @param {object} payload */
const connection = (payload) => JSON.stringify({ event_type: "connection", payload });

/**
 * Each client has positions of its own, as it would have on a socket of its own. Where one begins further back than the
 * others the topic is asked for again from there, and what the others were shown already is not shown to them again.
 */
export class Hub {
  /** @type {Set<string>} */ #clients = new Set();
  /** @type {Map<string, Shared>} */ #topics = new Map();
  /** @type {Map<string, number>} by topic, how many ends of it the server still has to tell */ #ending = new Map();
  /** @type {Map<string, { client: string, size: number }>} by the id of what was sent */ #sent = new Map();
  /** @type {Socket | null} */ #socket = null;
  #greeting = "";
  #heardAt = 0;
  #pingedAt = 0;
  #pace = new Pace((text) => this.#socket?.readyState === 1 && this.#socket.send(text));
  #open;
  #tell;

  /**
   * @param {(protocols: string[]) => Socket} open
   * @param {(clients: string[], message: Message) => void} tell
   */
  constructor(open, tell) {
    this.#open = open;
    this.#tell = tell;
  }

  /** Somebody comes. @param {string} client @param {string[]} protocols as for a socket */
  hello(client, protocols) {
    // Who came back may have noticed that nothing arrives any more.
    const isSilent = this.#pingedAt > this.#heardAt && Date.now() - this.#pingedAt > DEAD_AFTER_MS;
    if (this.#socket && isSilent) this.#lost(1006, "silent");
    if (this.#clients.has(client)) return;
    this.#clients.add(client);
    if (this.#greeting) return this.#tell([client], { text: this.#greeting });
    if (this.#socket) return;
    const socket = this.#open(protocols);
    this.#socket = socket;
    this.#pingedAt = Date.now() + OPEN_WITHIN_MS - DEAD_AFTER_MS;
    socket.onmessage = (/** @type {{ data: string }} */ { data }) => socket === this.#socket && this.#receive(data);
    socket.onclose = (/** @type {{ code: number, reason: string }} */ { code, reason }) =>
      socket === this.#socket && this.#lost(code, reason);
  }

  /** Somebody says something. @param {string} client @param {string} text */
  take(client, text) {
    if (!this.#clients.has(client)) return this.#tell([client], { code: 1006, reason: "it is not known here" });
    const message = JSON.parse(text);
    if (message.type === "subscribe") return this.#follow(client, message);
    if (message.type === "unsubscribe") return this.#leave(client, message.topic, true);
    if (message.type === "ping") {
      if (this.#pingedAt <= this.#heardAt) this.#pingedAt = Date.now();
      if (this.#socket?.readyState === 1) this.#socket.send(text);
      return;
    }
    if (message.id) this.#sent.set(message.id, { client, size: text.length });
    this.#pace.write(text);
  }

  /** Somebody goes. @param {string} client */
  bye(client) {
    if (!this.#clients.delete(client)) return;
    if (!this.#clients.size) return this.close();
    for (const topic of [...this.#topics.keys()]) this.#leave(client, topic, false);
    for (const [id, sent] of this.#sent) if (sent.client === client) this.#sent.delete(id);
  }

  /** It is over; who is still there comes back at once, to another one. */
  close() {
    const clients = [...this.#clients];
    this.#clear(1000);
    this.#move(clients, "another tab takes over");
  }

  /** @param {number} code @param {string} reason */
  #lost(code, reason) {
    const clients = [...this.#clients];
    const [largest] = [...this.#sent.values()].sort((a, b) => b.size - a.size);
    this.#clear();
    // Only one of them sent what was too large.
    const told = code === 1009 && largest ? [largest.client] : clients;
    if (told.length) this.#tell(told, { code, reason });
    this.#move(clients.filter((client) => !told.includes(client)), reason);
  }

  /** @param {number} [code] */
  #clear(code) {
    const socket = this.#socket;
    this.#socket = null;
    this.#greeting = "";
    this.#heardAt = this.#pingedAt = 0;
    this.#pace.reset();
    for (const known of [this.#clients, this.#topics, this.#ending, this.#sent]) known.clear();
    socket?.close(code);
  }

  /** @param {string[]} clients @param {string} reason */
  #move(clients, reason) {
    if (!clients.length) return;
    this.#tell(clients, { text: '{"event_type":"reconnect","payload":{"after_ms":0}}' });
    this.#tell(clients, { code: 1012, reason });
  }

  /** @param {string} text */
  #receive(text) {
    this.#heardAt = Date.now();
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      // who is told says so
    }
    const { event_type: type, payload, topic } = frame ?? {};
    if (type === "connection") return this.#greeted(text, payload);
    if (type === "ack" || type === "error") return this.#answered(text, payload ?? {});
    const shared = this.#topics.get(topic);
    if (!topic) return this.#tell([...this.#clients], { text });
    if (!shared || this.#ending.has(topic)) return;
    if (type === "gap") this.#skipped(shared, payload?.to, text);
    else this.#show(shared, frame, text);
  }

  /** @param {Shared} shared @param {any} frame @param {string} text */
  #show({ holds, positions }, { cursor }, text) {
    positions.take({ cursor });
    const clients = [];
    for (const [client, hold] of holds) {
      if (hold.state === "waiting") continue;
      hold.positions ??= new Positions();
      if (hold.positions.take({ cursor }) === "new") clients.push(client);
    }
    if (clients.length) this.#tell(clients, { text });
  }

  /**
   * What is gone is gone for those who were catching up; where nobody was, for all.
   *
   * @param {Shared} shared
   * @param {string | undefined} to
   * @param {string} text
   */
  #skipped({ holds, positions, isLive }, to, text) {
    positions.skip(to);
    const told = [...holds].filter(([, { state }]) => state === "behind" || (isLive && state === "live"));
    for (const [, hold] of told) (hold.positions ??= new Positions()).skip(to);
    if (told.length) this.#tell(told.map(([client]) => client), { text });
  }

  /** An answer is for who asked. @param {string} text @param {any} payload */
  #answered(text, { id = "" }) {
    const sent = this.#sent.get(id);
    this.#sent.delete(id);
    if (sent) return this.#tell([sent.client], { text });
    const topic = id.slice(1);
    if (id[0] === "-") return this.#ended(topic);
    const shared = id[0] === "+" && !this.#ending.has(topic) && this.#topics.get(topic);
    if (shared) {
      this.#topics.delete(topic);
      this.#tell([...shared.holds.keys()], { text });
    } else if (!id) this.#tell([...this.#clients], { text });
  }

  /** @param {string} text @param {any} payload */
  #greeted(text, payload) {
    const topic = payload.connection_id;
    if (topic === undefined) {
      this.#greeting = text;
      return this.#tell([...this.#clients], { text });
    }
    if (payload.status === "disconnected") return this.#ended(topic);
    const shared = this.#topics.get(topic);
    if (!shared || this.#ending.has(topic)) return;
    if (payload.status === "degraded") {
      const all = [...shared.holds];
      if (!payload.cursors) return this.#tell(all.map(([client]) => client), { text });
      // It is a greeting too, for those who asked. Others are told as much of it as is theirs.
      const others = all.filter(([, { state }]) => state !== "behind").map(([client]) => client);
      if (others.length) this.#tell(others, { text: connection({ ...payload, cursors: undefined }) });
    }
    if (payload.cursors) shared.positions.start(payload.cursors);
    if (shared.isByHistory) putOff(shared, payload.cursors ?? {});
    const told = [...shared.holds].filter(([, { state }]) => state === "behind");
    for (const [, hold] of told) stand(hold, payload.cursors ?? {});
    if (payload.recovered) {
      shared.isAsked = false;
      shared.isLive = true;
      for (const [, hold] of told) hold.state = "live";
    }
    // When it has caught up, so have those who were: live frames go on from its position.
    const clients = payload.recovered ? [...shared.holds].filter(([, { state }]) => state === "live") : told;
    if (clients.length) this.#tell(clients.map(([client]) => client), { text });
    if (payload.recovered) this.#advance(topic, shared);
  }

  /** @param {string} topic */
  #ended(topic) {
    const ending = this.#ending.get(topic) ?? 0;
    if (ending > 1) this.#ending.set(topic, ending - 1);
    else this.#ending.delete(topic);
  }

  /**
   * @param {string} client
   * @param {{ topic: string, since?: string, history?: number, types?: string[] }} message
   */
  #follow(client, { topic, since, history, types }) {
    const shared = this.#topics.get(topic) ?? {
      ...{ holds: new Map(), isAsked: false, isByHistory: false, isLive: false },
      ...{ types, positions: new Positions() },
    };
    this.#topics.set(topic, shared);
    shared.holds.set(client, { state: "waiting", positions: since ? new Positions(since) : null, history, types });
    this.#advance(topic, shared);
  }

  /** @param {string} client @param {string} topic @param {boolean} isAsked */
  #leave(client, topic, isAsked) {
    const shared = this.#topics.get(topic);
    const wasThere = shared?.holds.delete(client);
    if (isAsked) this.#tell([client], { text: connection({ status: "disconnected", connection_id: topic }) });
    if (!wasThere || shared?.holds.size) return;
    this.#topics.delete(topic);
    if (shared?.isAsked || shared?.isLive) this.#unfollow(topic);
  }

  /** @param {string} topic */
  #unfollow(topic) {
    this.#pace.write(JSON.stringify({ type: "unsubscribe", id: `-${topic}`, topic }));
    this.#ending.set(topic, (this.#ending.get(topic) ?? 0) + 1);
  }

  /**
   * Have those who wait join a topic that is up to date, or ask the server for what they lack: one thing at a time.
   *
   * @param {string} topic
   * @param {Shared} shared
   */
  #advance(topic, shared) {
    if (shared.isAsked) return;
    const { holds, positions } = shared;
    const cursors = byLetter(positions.since);
    for (const [client, hold] of holds) {
      if (hold.state !== "waiting" || !shared.isLive) continue;
      const mayJoin = isCovered(shared, hold);
      if (mayJoin || !hold.history) stand(hold, cursors);
      if (!mayJoin) continue;
      hold.state = "live";
      const greeting = { status: "connected", connection_id: topic, recovered: true, cursors };
      this.#tell([client], { text: connection(greeting) });
    }
    const waiting = [...holds.values()].filter(({ state }) => state === "waiting");
    if (!waiting.length) return;
    if (shared.isLive) this.#unfollow(topic);
    // Positions and a number of events cannot be asked for at once, and the number is of certain types.
    const known = waiting.filter((hold) => hold.positions);
    const [one] = waiting;
    const alike = (/** @type {import("./holds.js").Hold} */ { history, types }) =>
      !history === !one.history && String(types) === String(one.types);
    const asked = known.length ? known : waiting.filter(alike);
    const types = [...(known.length ? [shared] : []), ...asked].map((of) => of.types);
    shared.types = types.every((each) => each) ? [...new Set(types.flatMap((each) => each ?? []))] : undefined;
    for (const hold of asked) hold.state = "behind";
    shared.isAsked = true;
    shared.isLive = false;
    shared.isByHistory = !known.length;
    const since = known.length ? oldest(holds) : undefined;
    const history = since ? undefined : Math.max(...asked.map((hold) => hold.history ?? 0)) || undefined;
    this.#pace.write(JSON.stringify({ type: "subscribe", id: `+${topic}`, topic, since, history, types: shared.types }));
  }
}
