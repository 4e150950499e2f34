/** Whether WebSockets are blocked, and what to go by instead. */

const BLOCKED_AFTER = 2;

/**
 * Whether plain HTTP comes through to where a socket could not be opened. An answer that asks to come later says nothing.
 *
 * @param {string} url  of the socket
 */
async function isReachable(url) {
  const address = new URL(url.replace("ws", "http"));
  address.search = "";
  const { status } = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(5_000) });
  return status < 500 && status !== 429;
}

export class Detour {
  /** @type {import("./line.js").SocketClass | undefined} what to go by, once WebSockets are known to be blocked */ Socket;
  #blocked = 0;

  /** A WebSocket came through. */
  clear() {
    this.#blocked = 0;
  }

  /**
   * A WebSocket was never greeted. Where plain HTTP comes through at the same time, WebSockets are blocked.
   *
   * @param {string} url
   */
  async suspect(url) {
    try {
      if (!(await isReachable(url))) return;
      this.#blocked += 1;
      // Not before: a module that cannot be loaded once is never asked for again.
      if (this.#blocked >= BLOCKED_AFTER) this.Socket = (await import("./sse.js")).SseSocket;
    } catch {
      // no HTTP either
    }
  }
}
