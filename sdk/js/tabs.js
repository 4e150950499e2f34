/**
 * One socket for all tabs of a browser that follow the same mesh, with the same user.
 *
 *     import { open } from "/sdk/index.js";
 *     import { TabSocket } from "/sdk/tabs.js";
 *     const mesh = open({ WebSocket: TabSocket });
 *
 * It behaves like a WebSocket of the mesh. One of the tabs, which leads, has the real one; when that tab is gone, or
 * asleep, another one takes over, and each resumes from its own positions, as after any other loss. Where a browser has
 * no locks or channels (outside https and localhost), and for `connect`, which follows a single topic, it is a plain
 * WebSocket.
 *
 * @module
 */

import { claimsOf } from "./bearer.js";
import { randomId } from "./outbox.js";
import { Tab } from "./tab.js";

/** @typedef {import("./hub.js").Message} Message */
/** @typedef {import("./line.js").SocketClass} SocketClass */

export class TabSocket {
  readyState = 0;
  /** @type {((event: { data: string }) => void) | null} */ onmessage = null;
  /** @type {((event: { code: number, reason: string }) => void) | null} */ onclose = null;
  #id = randomId();
  /** @type {any} a `Tab` */ #tab;

  /** The class of the real socket. @returns {SocketClass} */
  static get Socket() {
    return globalThis.WebSocket;
  }

  /**
   * The same over another kind of socket, such as `SseSocket`.
   *
   * @param {SocketClass} Socket
   * @returns {typeof TabSocket}
   */
  static over(Socket) {
    return class extends TabSocket {
      static get Socket() {
        return Socket;
      }
    };
  }

  /**
   * @param {string} url  as of a WebSocket
   * @param {string[]} [protocols]
   */
  constructor(url, protocols = []) {
    const { Socket } = new.target;
    if (!globalThis.BroadcastChannel || !globalThis.navigator?.locks || !new URL(url).pathname.endsWith("/ws")) {
      // @ts-expect-error: what is made is used as a socket, and nothing more
      return new Socket(url, protocols);
    }
    const bearer = protocols.find((protocol) => protocol.startsWith("bearer."))?.slice("bearer.".length) ?? "";
    const name = ["mesh.v1", url, Socket.name, claimsOf(bearer).sub ?? ""].join(" ");
    this.#tab = Tab.of(name, (of) => new Socket(url, of));
    this.#tab.join(this.#id, { protocols, told: (/** @type {Message} */ message) => this.#told(message) });
  }

  /** @param {string} text */
  send(text) {
    if (this.readyState === 1) this.#tab.say(this.#id, text);
  }

  /** @param {number} [_code] */
  close(_code) {
    this.readyState = 3;
    this.onclose = this.onmessage = null;
    this.#tab.leave(this.#id);
  }

  /** @param {Message} message */
  #told(message) {
    if ("text" in message) {
      this.readyState = 1;
      return this.onmessage?.({ data: message.text });
    }
    const { onclose } = this;
    this.readyState = 3;
    this.onclose = this.onmessage = null;
    onclose?.(message);
  }
}
