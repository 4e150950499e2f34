// What vendor.mjs puts into preact.js, as `tsc` is to know it; browsers never ask for this file.

import type { VNode } from "preact";

export type { ComponentChildren, RefObject, VNode } from "preact";
export { Component, Fragment, cloneElement, createContext, createRef, h, options, render, toChildArray } from "preact";
export {
  useCallback, useContext, useEffect, useErrorBoundary, useId, useLayoutEffect, useMemo, useReducer, useRef, useState,
} from "preact/hooks";
export type { ReadonlySignal, Signal } from "@preact/signals";
export { batch, computed, effect, signal, untracked, useComputed, useSignal, useSignalEffect } from "@preact/signals";

export function html(strings: TemplateStringsArray, ...values: unknown[]): VNode;
