/**
 * A mesh by plain HTTP, for where WebSockets are blocked: server-sent events for what comes, `POST` for what goes.
 *
 * It behaves like a WebSocket of the mesh, so that a connection does not know the difference: pass it as the option
 * `WebSocket`, or let a connection find out by itself. For each topic there is one response that does not end. It is
 * `fetch` and not `EventSource`, which takes no token and tells no status.
 */

const SILENT_MS = 40_000; // an edge says something every 15 s
// By HTTP/1.1 a browser has six connections for each origin: what waits for one would never begin, nor would a POST.
const MOST_STREAMS = 4;

/** How an answer's status is told as a close code. @type {Record<number, number>} */
const CODES = { 400: 4400, 401: 4401, 403: 4403, 404: 4400, 429: 4429 };

/** What the API refuses, by the codes of an edge. @type {Record<number, string>} */
const REFUSALS = { 403: "not_allowed", 410: "gone", 413: "too_large" };

/** @param {string} url of a socket @param {string} path in place of its `ws` and what follows @param {string} [search] */
function httpUrl(url, path, search = "") {
  const found = new URL(url);
  found.protocol = found.protocol.replace("ws", "http");
  found.pathname = found.pathname.replace(/\/ws(\/.*)?$/, (_, rest = "") => `/${path}${path === "sse" ? rest : ""}`);
  found.search = search;
  return found.href;
}

/** Cuts a stream into events. HTML standard, section 9.2.6. */
export class Parser {
  /** Of the newest event that had one. */ id = "";
  #rest = "";
  #nextId = "";
  /** @type {string[]} */ #data = [];

  /**
   * @param {string} text
   * @returns {Array<{ data?: string, retry?: number }>}  an event, a time to wait before coming back, or a comment
   */
  feed(text) {
    const found = [];
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const [, name, value] = /^([^:]*)(?::? ?)(.*)$/s.exec(line) ?? [];
      if (line === "") {
        if (this.#data.length) found.push({ data: this.#data.join("\n") });
        this.#data = [];
        this.id = this.#nextId;
      } else if (name === "data") this.#data.push(value);
      else if (name === "id") this.#nextId = value;
      else if (name === "retry" && /^\d+$/.test(value)) found.push({ retry: Number(value) });
      else if (name === "") found.push({});
    }
    return found;
  }
}

/** One topic's response. @typedef {{ url: string, stop: AbortController, parser: Parser }} Stream */

export class SseSocket {
  readyState = 0;
  /** @type {((event: { data: string }) => void) | null} */ onmessage = null;
  /** @type {((event: { code: number, reason: string }) => void) | null} */ onclose = null;
  /** @type {Map<string, Stream>} by topic; the only one of a socket for one topic is `""` */
  #streams = new Map();
  #isTold = false;
  #url;
  /** @type {Record<string, string>} */ #headers = {};

  /**
   * @param {string} url  as of a WebSocket
   * @param {string[]} [protocols]  one of which may be `bearer.` and a token
   */
  constructor(url, protocols = []) {
    this.#url = url;
    const bearer = protocols.find((protocol) => protocol.startsWith("bearer."));
    if (bearer) this.#headers.Authorization = `Bearer ${bearer.slice("bearer.".length)}`;
    const { pathname, search } = new URL(url);
    if (pathname.endsWith("/ws")) queueMicrotask(() => this.#greet());
    else void this.#follow("", httpUrl(url, "sse", search));
  }

  /** @param {string} text  a message as it goes over a WebSocket */
  send(text) {
    const message = JSON.parse(text);
    const { type, topic } = message;
    if (type === "send") void this.#post(message);
    else if (type === "auth") this.#renew(message.token);
    else if (type === "subscribe") this.#subscribe(message);
    else if (type === "unsubscribe") {
      this.#streams.get(topic)?.stop.abort();
      this.#streams.delete(topic);
      // After what was said before, as a server would.
      queueMicrotask(() => this.#give({ event_type: "connection", payload: { status: "disconnected", connection_id: topic } }));
    }
  }

  /** @param {number} [_code] */
  close(_code) {
    this.readyState = 3;
    this.onclose = this.onmessage = null;
    for (const { stop } of this.#streams.values()) stop.abort();
  }

  /** A response lives as long as its token: each is asked for anew, from where it stands. @param {string} token */
  #renew(token) {
    this.#headers.Authorization = `Bearer ${token}`;
    for (const [topic, { url, parser }] of this.#streams) {
      const address = new URL(url);
      if (parser.id) address.searchParams.set("since", parser.id);
      void this.#follow(topic, address.href);
    }
  }

  /** A socket for many topics is greeted before it follows any. */
  #greet() {
    if (this.readyState > 1) return;
    this.readyState = 1;
    this.#give({ event_type: "connection", payload: { status: "connected" } });
  }

  /** @param {{ topic: string, since?: string, history?: number, types?: string[] }} message */
  #subscribe({ topic, since, history, types }) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries({ since, history, types })) if (value?.toString()) query.set(name, String(value));
    const root = httpUrl(this.#url, "sse");
    const isBounded = globalThis.location && root.startsWith("http:");
    if (isBounded && !this.#streams.has(topic) && this.#streams.size >= MOST_STREAMS) {
      const message = `without WebSockets and HTTP/2 a page follows ${MOST_STREAMS} topics at most`;
      return this.#give({ event_type: "error", payload: { id: `+${topic}`, code: "too_many_topics", message } });
    }
    void this.#follow(topic, `${root}/${topic.replace("_", "/")}?${query}`);
  }

  /**
   * @param {string} topic
   * @param {string} url
   */
  async #follow(topic, url) {
    this.#streams.get(topic)?.stop.abort();
    const parser = new Parser();
    const stop = new AbortController();
    const stream = { url, stop, parser };
    this.#streams.set(topic, stream);
    /** @type {any} */ let silent;
    const heard = () => {
      clearTimeout(silent);
      silent = setTimeout(() => stop.abort(), SILENT_MS);
    };
    try {
      heard();
      const headers = { Accept: "text/event-stream", ...this.#headers };
      const response = await fetch(url, { headers, cache: "no-store", signal: stop.signal });
      if (this.#streams.get(topic) !== stream) return;
      if (!response.ok || !response.body) return await this.#refused(topic, response);
      this.readyState = 1;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (this.#streams.get(topic) !== stream || done) break;
        heard();
        for (const { data, retry } of parser.feed(value)) {
          if (retry !== undefined) this.#told(retry);
          else this.onmessage?.({ data: data ?? '{"event_type":"pong"}' });
        }
      }
    } catch {
      // lost, or left
    } finally {
      clearTimeout(silent);
      if (this.#streams.get(topic) === stream) this.#end(this.#isTold ? 1012 : 1006, "the stream ended");
    }
  }

  /** @param {number} afterMs */
  #told(afterMs) {
    this.#isTold = true;
    this.onmessage?.({ data: JSON.stringify({ event_type: "reconnect", payload: { after_ms: afterMs } }) });
  }

  /** @param {string} topic @param {Response} response */
  async #refused(topic, response) {
    const problem = await response.json().catch(() => ({}));
    const reason = problem.detail ?? problem.title ?? `refused (${response.status})`;
    const code = CODES[response.status] ?? 1006;
    if (topic && (code === 4400 || code === 4403)) {
      this.#streams.delete(topic);
      return this.#give({ event_type: "error", payload: { id: `+${topic}`, code: "bad_topic", message: reason } });
    }
    const after = Number(response.headers.get("retry-after"));
    if (after > 0) this.#told(after * 1_000);
    this.#end(this.#isTold ? 1012 : code, reason);
  }

  /** @param {{ id: string, subject: string, payload: Record<string, any> }} message */
  async #post({ id, subject, payload }) {
    const [domain, of, verb, ...more] = subject.split(".");
    const refuse = (/** @type {string} */ code, /** @type {string} */ message, /** @type {number} */ after = 0) =>
      this.#give({ event_type: "error", payload: { id, code, message, ...(after && { retry_after_ms: after }) } });
    if (!verb || more.length) return refuse("bad_subject", `'${subject}' cannot be sent without a WebSocket`);
    const body = { event_type: `${domain}.${verb}`, id: of, payload: domain === "chat" ? { sender: "user", ...payload } : payload };
    try {
      const response = await fetch(httpUrl(this.#url, "api/v1/events"), {
        method: "POST",
        headers: { ...this.#headers, "Content-Type": "application/json", "Idempotency-Key": id },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(15_000),
      });
      const answer = await response.json();
      if (response.ok) {
        return this.#give({ event_type: "ack", payload: { id, cursor: answer.cursor, duplicate: false } });
      }
      if (response.status === 401) return this.#end(4401, "the token is no longer accepted"); // it comes back with a new one
      const after = 1_000 * (Number(response.headers.get("retry-after")) || 1);
      if (response.status >= 500 || response.status === 429) return refuse("not_stored", "the API did not store it", after);
      const code = /key-reused$/.test(answer.type) ? "id_reused" : (REFUSALS[response.status] ?? "bad_payload");
      refuse(code, answer.detail ?? answer.title ?? "refused");
    } catch {
      refuse("not_stored", "the API does not answer", 1_000);
    }
  }

  /** @param {object} frame */
  #give(frame) {
    if (this.readyState === 1) this.onmessage?.({ data: JSON.stringify(frame) });
  }

  /** @param {number} code @param {string} reason */
  #end(code, reason) {
    const { onclose } = this;
    this.close();
    onclose?.({ code, reason });
  }
}
