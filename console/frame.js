/**
 * One render for each animation frame. What changes in between gathers here: first data is taken, then everything that
 * shows it is rendered, once.
 */

import { batch, options } from "./vendor/preact.js";

// A window that is not looked at gets no animation frames. What gathers must not grow there without bound.
const HIDDEN_MS = 1_000;
const MOST_ROUNDS = 5;

/** @type {Set<() => void>} */
const takes = new Set();
/** @type {Array<() => void>} */
let renders = [];
let asked = 0;

/** How many frames there were in which something was done. */
export const frames = { count: 0 };

function ask() {
  if (asked) return;
  asked = document.hidden ? Number(setTimeout(run, HIDDEN_MS)) : requestAnimationFrame(run);
}

function run() {
  asked = 0;
  frames.count += 1;
  const taken = [...takes];
  takes.clear();
  batch(() => taken.forEach((take) => take()));
  // What rendering asks to be rendered belongs to the same frame, unless it never ends.
  for (let round = 0; renders.length > 0 && round < MOST_ROUNDS; round += 1) {
    const now = renders;
    renders = [];
    for (const render of now) render();
  }
  if (renders.length > 0) ask();
}

/**
 * Do something in the next frame, before it is rendered; once, however often it is asked for.
 *
 * @param {() => void} take
 */
export function inFrame(take) {
  takes.add(take);
  ask();
}

options.debounceRendering = (render) => {
  renders.push(render);
  ask();
};

document.addEventListener("visibilitychange", () => {
  if (!document.hidden || !asked) return;
  cancelAnimationFrame(asked);
  asked = Number(setTimeout(run, HIDDEN_MS));
});
