/** The REST calls the page makes. Errors become an `ApiError` whose message can be shown as it is. */

const ROOT = new URL("../api/v1/", import.meta.url);

export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} status  of HTTP; 0 where no answer came
   */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {{ body?: unknown, key?: string, query?: Record<string, string | number | undefined> }} [options]
 * @returns {Promise<any>}
 */
async function call(method, path, { body, key, query = {} } = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value));
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (body) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  let response;
  try {
    response = await fetch(url, { method, headers, body: body ? JSON.stringify(body) : null, cache: "no-store" });
  } catch {
    throw new ApiError("The mesh does not answer.", 0);
  }
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer ?? {};
  // Problem details, RFC 9457.
  const words = [answer?.detail, answer?.title].find((text) => typeof text === "string");
  throw new ApiError(words ?? `The mesh answered ${response.status}.`, response.status);
}

const session = (/** @type {string} */ id) => `chat-history/sessions/${encodeURIComponent(id)}`;

/** @param {{ limit?: number, cursor?: string }} [query] */
export const listSessions = (query) => call("GET", "chat-history/sessions", { query });

/** @param {string} id @param {{ limit?: number, before?: string }} [query] */
export const getSession = (id, query) => call("GET", session(id), { query });

/** @param {string} title @param {string} key */
export const createSession = (title, key) => call("POST", "chat-history/sessions", { body: { title }, key });

/** @param {string} id @param {string} messageId  being written @param {string} key */
export const stop = (id, messageId, key) => call("POST", `${session(id)}/stop`, { body: { message_id: messageId }, key });

/**
 * Say something in a session, to whom the session is with; without a session it makes one with Daena.
 *
 * @param {{ message: string, session_id?: string }} body
 * @param {string} key  the same for a retry, which then does nothing twice
 * @param {import("./sessions.js").Entry["with"]} [other]  whom the session is with; Daena, where it is nobody
 */
export const say = (body, key, other) =>
  call("POST", other ? `${other.kind}s/${encodeURIComponent(other.id)}/chat` : "daena/chat", { body, key });

/** @param {{ limit?: number }} [query] */
export const listAgents = (query) => call("GET", "agents", { query });

/** @param {{ limit?: number, status?: string }} [query] */
export const listTasks = (query) => call("GET", "tasks", { query });

/** @param {string} id @param {string} key */
export const cancelTask = (id, key) => call("POST", `tasks/${encodeURIComponent(id)}/cancel`, { key });
