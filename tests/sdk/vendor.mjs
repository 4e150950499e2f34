/**
 * Build what the console brings along of others, each as one file: `node vendor.mjs preact` writes it to standard output.
 * The packages are those that package-lock.json pins. Licences and versions stand at the head of each file.
 */

import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));

/** What each file exports, and which packages are in it. */
const FILES = {
  preact: {
    packages: ["preact", "htm", "@preact/signals", "@preact/signals-core"],
    entry: `
      import { h } from "preact";
      import htm from "htm";
      export { Component, Fragment, cloneElement, createContext, createRef, h, options, render, toChildArray } from "preact";
      export {
        useCallback, useContext, useEffect, useErrorBoundary, useId, useLayoutEffect, useMemo, useReducer, useRef, useState,
      } from "preact/hooks";
      export { batch, computed, effect, signal, untracked, useComputed, useSignal, useSignalEffect } from "@preact/signals";
      export const html = htm.bind(h);
    `,
  },
  uplot: { packages: ["uplot"], entry: `export { default as UPlot } from "uplot";` },
};

/** @param {string} name */
function licenceOf(name) {
  const folder = join(HERE, "node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
  const text = file ? readFileSync(join(folder, file), "utf8").replaceAll("*/", "* /").trim() : "";
  // The text of this one lies beside every copy of the console, as the licence of the whole.
  const shown = license === "Apache-2.0" ? `${/^ *Copyright \d.*$/m.exec(text)?.[0].trim()}. The text: see LICENSE.` : text;
  return `${name} ${version} (${license})\n\n${shown}`;
}

const { packages, entry } = FILES[process.argv[2]];
const { outputFiles } = await build({
  stdin: { contents: entry, resolveDir: HERE },
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "none",
  write: false,
});
const head = packages.map(licenceOf).join("\n\n---\n\n");
process.stdout.write(`/*!\nMade by tests/sdk/vendor.mjs.\n\n${head}\n*/\n\n${outputFiles[0].text}`);
