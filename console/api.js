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
 * @param {{ body?: unknown, key?: string, keepalive?: boolean, headers?: Record<string, string>, query?: Record<string, string | number | string[] | undefined> }} [options]
 * @returns {Promise<any>}
 */
async function call(method, path, { body, key, keepalive, headers: more = {}, query = {} } = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) for (const each of [value ?? []].flat()) url.searchParams.append(name, String(each));
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json", ...more };
  if (body) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  let response;
  try {
    response = await fetch(url, { method, headers, body: body ? JSON.stringify(body) : null, cache: "no-store", keepalive });
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

/**
 * @param {string} title
 * @param {string} key
 * @param {{ scope_type?: string, scope_id?: string }} [scope]  whom it is with; by default Daena
 */
export const createSession = (title, key, scope = {}) => call("POST", "chat-history/sessions", { body: { title, ...scope }, key });

/** @param {string} id @param {{ title?: string }} changes @param {string} key */
export const changeSession = (id, changes, key) => call("PUT", session(id), { body: changes, key });

/** Share a session with users, or no longer. @param {string} id @param {{ add?: string[], remove?: string[] }} changes @param {string} key */
export const changeMembers = (id, changes, key) => call("POST", `${session(id)}/members`, { body: changes, key });

/** It is sent also while the page is being left. @param {string} id @param {string} key */
export const deleteSession = (id, key) => call("DELETE", session(id), { key, keepalive: true });

/** Who is on a topic. @param {string} topic */
export const presence = (topic) => call("GET", `presence/${encodeURIComponent(topic)}`);

/** Who asks, as the mesh knows them. */
export const me = () => call("GET", "me");

/** Have a token set as a cookie, which no script can read. @param {string} token */
export const login = (token) => call("POST", "login", { headers: { Authorization: `Bearer ${token}` } });

/** Have that cookie taken away. */
export const logout = () => call("POST", "logout");

/** @param {string} id @param {string} messageId  being written @param {string} key */
export const stop = (id, messageId, key) => call("POST", `${session(id)}/stop`, { body: { message_id: messageId }, key });

/**
 * Say something in a session, to whom the session is with; without a session it makes one with Daena.
 *
 * @param {{ message: string, session_id?: string, sender?: string }} body
 * @param {string} key  the same for a retry, which then does nothing twice
 * @param {import("./store/sessions.js").Entry["with"]} [other]  whom the session is with; Daena, where it is nobody
 */
export const say = (body, key, other) =>
  call("POST", other ? `${other.kind}s/${encodeURIComponent(other.id)}/chat` : "daena/chat", { body, key });

/**
 * Ask an agent something in a session of its own.
 *
 * @param {string} id
 * @param {{ message: string, sender?: string }} body
 * @param {string} key
 */
export const askAgent = (id, body, key) => call("POST", `agents/${encodeURIComponent(id)}/chat`, { body, key });

/** @param {string} id @param {{ limit?: number }} [query] */
export const listActivity = (id, query) => call("GET", `agents/${encodeURIComponent(id)}/activity`, { query });

/** @param {{ limit?: number }} [query] */
export const listAgents = (query) => call("GET", "agents", { query });

/** @param {{ limit?: number, status?: string, agent_id?: string }} [query] */
export const listTasks = (query) => call("GET", "tasks", { query });

/** @param {string} id @param {string} key */
export const cancelTask = (id, key) => call("POST", `tasks/${encodeURIComponent(id)}/cancel`, { key });

/**
 * A page of the log.
 *
 * @param {{ subject?: string[], since?: string, before?: string, at?: string, limit?: number }} query
 */
export const listEvents = (query) => call("GET", "events", { query });

/** What each brain said last of its state. */
export const brainStatus = () => call("GET", "brain/status");

/** What runs, and how fast. */
export const getMesh = () => call("GET", "mesh");
