/** The rooms of the page. Each is a module that is loaded when it is first entered, and whose default export shows it. */

/**
 * @typedef {object} Room
 * @property {string} name           in the address: `#/chat`
 * @property {string} title
 * @property {string} icon           of parts/icons.js
 * @property {string} key            `g` and this letter go there
 * @property {() => Promise<{ default: any }>} load
 * @property {string[]} [styles]     style sheets of its own, beside this module
 */

/** @type {Room[]} */
export const ROOMS = [
  { name: "chat", title: "Chat", icon: "chat", key: "c", load: () => import("./chat.js") },
  { name: "activity", title: "Activity", icon: "activity", key: "a", load: () => import("./activity.js"), styles: ["activity.css"] },
  { name: "agents", title: "Agents", icon: "agents", key: "g", load: () => import("./agents.js"), styles: ["agents.css"] },
  { name: "tasks", title: "Tasks", icon: "tasks", key: "t", load: () => import("./tasks.js"), styles: ["tasks.css"] },
  { name: "council", title: "Council", icon: "council", key: "o", load: () => import("./council.js"), styles: ["council.css"] },
  { name: "brain", title: "Brain", icon: "brain", key: "b", load: () => import("./brain.js"), styles: ["../parts/chart.css", "brain.css"] },
  { name: "mesh", title: "Mesh", icon: "mesh", key: "m", load: () => import("./mesh.js"), styles: ["../parts/chart.css", "mesh.css"] },
];

/** @type {Map<string, Promise<void>>} */
const sheets = new Map();

/** @param {string} name */
function style(name) {
  let loaded = sheets.get(name);
  if (!loaded) {
    loaded = new Promise((resolve, reject) => {
      const link = document.createElement("link");
      link.rel = "stylesheet";
      link.href = new URL(name, import.meta.url).href;
      link.onload = () => resolve();
      link.onerror = () => {
        sheets.delete(name);
        link.remove();
        reject(new Error(`${name} could not be loaded.`));
      };
      document.head.append(link);
    });
    sheets.set(name, loaded);
  }
  return loaded;
}

/**
 * Load a room, with the style it needs.
 *
 * @param {Room} room
 * @returns {Promise<any>}  the component
 */
export async function loadRoom(room) {
  const [module] = await Promise.all([room.load(), ...(room.styles ?? []).map(style)]);
  return module.default;
}
