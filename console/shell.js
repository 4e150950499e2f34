/** What stands around every room: where one can go, how the connection is, the theme, and the keys. */

import { connection, isFeedWithheld } from "./store/link.js";
import { isSheetOpen, useShortcuts } from "./keys.js";
import { Icon, ThemeIcon } from "./parts/icons.js";
import { Empty, Lazy, Loading, Problem } from "./parts/states.js";
import { ROOMS, loadRoom } from "./rooms/index.js";
import { go, href, route } from "./router.js";
import { Status } from "./status.js";
import { Toasts } from "./toasts.js";
import { Ending, You } from "./you.js";
import { unreadCount } from "./store/world.js";
import { html, signal, useEffect, useErrorBoundary, useLayoutEffect } from "./vendor/preact.js";

/** @type {import("./vendor/preact.js").Signal<Record<string, { component?: any, problem?: string }>>} by name, what was loaded of the rooms */
const loaded = signal({});

/** @param {import("./rooms/index.js").Room} room */
async function load(room) {
  try {
    loaded.value = { ...loaded.peek(), [room.name]: { component: await loadRoom(room) } };
  } catch (error) {
    loaded.value = { ...loaded.peek(), [room.name]: { problem: error instanceof Error ? error.message : String(error) } };
  }
}

/** Switch between light and dark; boot.js sets what was chosen before the first paint. */
function switchTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("mesh:theme", root.dataset.theme);
  } catch {
    // chosen for this visit only
  }
}

const roomOf = () => ROOMS.find(({ name }) => name === route.value.room) ?? ROOMS[0];

/** A room that fails must not take the page along. @param {{ children?: any }} props */
function Guard({ children }) {
  const [error, reset] = useErrorBoundary((problem) => console.error(problem));
  if (!error) return children;
  return html`<${Problem} title="This room has failed" text=${String(error.message ?? error)} retry=${reset} />`;
}

function Room() {
  const room = roomOf();
  const { component, problem } = loaded.value[room.name] ?? {};
  useEffect(() => {
    if (!loaded.peek()[room.name]?.component) load(room);
  }, [room.name]);
  if (component) return html`<${Guard} key=${room.name}><${component} path=${route.value.path} query=${route.value.query} /><//>`;
  if (problem) return html`<${Problem} title=${`${room.title} could not be loaded`} text=${problem} retry=${() => load(room)} />`;
  return html`<${Loading} label=${`Loading ${room.title}`} />`;
}

function Rail() {
  const here = roomOf().name;
  return html`
    <nav class="rail" aria-label="Rooms">
      ${ROOMS.map(
        ({ name, title, icon }) => html`
          <a key=${name} href=${href(name)} aria-current=${name === here ? "page" : undefined} title=${title}>
            <${Icon} name=${icon} size=${20} />
            <span>${title}</span>
            ${name === "chat" && unreadCount.value > 0 && html`<span class="rail-mark"><span class="visually-hidden">${unreadCount.value} unread</span></span>`}
          </a>
        `,
      )}
    </nav>
  `;
}

export function Shell() {
  const room = roomOf();
  useShortcuts([
    { keys: "?", says: "Show this sheet", run: () => (isSheetOpen.value = !isSheetOpen.peek()) },
    ...ROOMS.map(({ name, title, key }) => ({ keys: `g ${key}`, says: `Go to ${title}`, run: () => go(href(name)) })),
    { keys: "t", says: "Switch between light and dark", run: switchTheme },
  ]);
  useLayoutEffect(() => {
    document.documentElement.dataset.room = room.name;
    if (room.name !== "chat") document.title = `${room.title} · Daena Mesh`;
  }, [room.name]);
  return html`
    <a class="skip" href="#room" onClick=${(/** @type {Event} */ event) => (event.preventDefault(), document.getElementById("room")?.focus())}>Skip to the room</a>
    <header class="bar">
      <a class="brand" href="#/">
        <img src="console/icon.svg" alt="" width="24" height="24" />
        <h1>Daena Mesh</h1>
      </a>
      <${Status} />
      <span class="spacer"></span>
      <${You} />
      <button class="icon-button" type="button" aria-label="Keyboard shortcuts" title="Keyboard (?)" onClick=${() => (isSheetOpen.value = true)}><${Icon} name="keys" /></button>
      <button id="theme" class="icon-button" type="button" aria-label="Switch between light and dark" title="Light or dark" onClick=${switchTheme}><${ThemeIcon} /></button>
    </header>
    <${Rail} />
    <main id="room" class="room" tabindex="-1" data-state=${connection.value.name}><${Ending} />${isFeedWithheld.value && room.name !== "chat" ? html`<${Empty} title=${room.title}><p>Your token shows you the sessions that you belong to, in Chat, and nothing of this room.</p><//>` : html`<${Room} />`}</main>
    <${Toasts} />
    ${isSheetOpen.value && html`<${Lazy} load=${() => import("./key-sheet.js")} />`}
  `;
}
