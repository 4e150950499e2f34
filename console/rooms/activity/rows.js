/** A list of any length, of which those rows are in the document that are seen. */

import { html, useEffect, useLayoutEffect, useRef, useState } from "../../vendor/preact.js";
import { indexOf } from "./timeline.js";

const MORE = 8;
const NARROW_REM = 40;
const ROW_REM = 1.9;
const NARROW_ROW_REM = 3.3;
const NEAR = 12;

/** @typedef {import("./timeline.js").Row} Row */

const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize) || 16;

/**
 * @param {object} props
 * @param {Row[]} props.rows
 * @param {string} props.label
 * @param {boolean} props.follows          whether it stays at the end
 * @param {(follows: boolean) => void} props.onFollow
 * @param {() => void} props.onStart       the first rows are near
 * @param {() => void} props.onEnd         the last rows are near
 * @param {(row: Row, tab: number) => any} props.render
 * @param {any} [props.head]               what stands above the first row
 */
export function Rows({ rows, label, follows, onFollow, onStart, onEnd, render }) {
  const box = useRef(/** @type {any} */ (null));
  const [size, setSize] = useState({ height: 600, row: ROW_REM * 16, narrow: false });
  const [top, setTop] = useState(0);
  const [active, setActive] = useState(/** @type {number | undefined} */ (undefined));
  const wantsFocus = useRef(/** @type {number | null} */ (null));
  const anchor = useRef({ number: 0, offset: 0 });
  const { height, row: rowHeight, narrow } = size;

  useLayoutEffect(() => {
    const measure = () => {
      const { clientHeight, clientWidth } = box.current;
      const isNarrow = clientWidth < NARROW_REM * rem();
      setSize({ height: clientHeight, row: Math.round((isNarrow ? NARROW_ROW_REM : ROW_REM) * rem()), narrow: isNarrow });
    };
    const observer = new ResizeObserver(measure);
    observer.observe(box.current);
    measure();
    return () => observer.disconnect();
  }, []);

  const whole = rows.length * rowHeight;
  const place = follows ? Math.max(0, whole - height) : Math.min(top, Math.max(0, whole - height));
  // Where the reader is stays where it is, whatever is put before it or dropped there.
  let shift = place;
  if (!follows && anchor.current.number) {
    const at = indexOf(rows, anchor.current.number);
    shift = Math.max(0, at * rowHeight + anchor.current.offset);
  }
  const first = Math.max(0, Math.floor(shift / rowHeight) - MORE);
  const last = Math.min(rows.length, Math.ceil((shift + height) / rowHeight) + MORE);
  const shown = rows.slice(first, last);

  useLayoutEffect(() => {
    const want = follows ? whole : shift;
    if (Math.abs(box.current.scrollTop - Math.min(want, Math.max(0, whole - box.current.clientHeight))) > 1) box.current.scrollTop = want;
  }, [rows, rows.length, rows[0]?.number, follows, rowHeight, height]);

  useEffect(() => {
    // By its number, and until it is there: this may belong to a render of before the key.
    const wanted = box.current.querySelector(`[data-number="${wantsFocus.current ?? "none"}"]`);
    if (!wanted) return;
    wantsFocus.current = null;
    wanted.focus({ preventScroll: true });
  });

  useEffect(() => {
    if (shift < NEAR * rowHeight) onStart();
    if (shift + height > whole - NEAR * rowHeight) onEnd();
  }, [shift < NEAR * rowHeight, shift + height > whole - NEAR * rowHeight, rows.length]);

  /** @param {number} place */
  const hold = (place) => {
    const index = Math.max(0, Math.min(rows.length - 1, Math.floor(place / rowHeight)));
    anchor.current = rows[index] ? { number: rows[index].number, offset: place - index * rowHeight } : { number: 0, offset: 0 };
  };
  const onScroll = () => {
    const { scrollTop, clientHeight, scrollHeight } = box.current;
    hold(scrollTop);
    setTop(scrollTop);
    const isAtEnd = scrollTop + clientHeight >= scrollHeight - 4;
    if (isAtEnd !== follows && (isAtEnd || scrollTop + clientHeight < scrollHeight - rowHeight)) onFollow(isAtEnd);
  };
  /** @param {WheelEvent} event */
  const onWheel = ({ deltaY }) => {
    if (deltaY < 0 && follows && whole > height) {
      hold(box.current.scrollTop);
      onFollow(false);
    }
  };
  /** @param {KeyboardEvent} event */
  const onKeyDown = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !(event.target instanceof HTMLElement) || !event.target.dataset.number) return;
    const at = indexOf(rows, Number(event.target.dataset.number));
    const page = Math.max(1, Math.floor(height / rowHeight) - 1);
    const to = /** @type {Record<string, number>} */ ({ ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: rows.length - 1 })[event.key];
    if (to === undefined || rows.length === 0) return;
    event.preventDefault();
    const index = Math.max(0, Math.min(rows.length - 1, to));
    const place = Math.max(0, Math.min(Math.max(index * rowHeight + rowHeight - height, box.current.scrollTop), index * rowHeight));
    if (follows && index < rows.length - 1) onFollow(false);
    hold(place);
    box.current.scrollTop = place;
    setTop(place);
    setActive(rows[index].number);
    wantsFocus.current = rows[index].number;
  };
  const tabStop = shown.some(({ number }) => number === active) ? active : shown[Math.min(shown.length - 1, first ? MORE : 0)]?.number;
  return html`
    <div class="rows" ref=${box} onScroll=${onScroll} onWheel=${onWheel} data-narrow=${narrow}>
      <ol id="feed-list" aria-label=${label} style=${{ height: `${whole}px`, "--row": `${rowHeight}px` }} onKeyDown=${onKeyDown}>
        ${shown.map(
          (row, index) => html`
            <li key=${row.number} class="row" data-domain=${row.domain} aria-setsize=${rows.length} aria-posinset=${first + index + 1} style=${{ top: `${(first + index) * rowHeight}px` }}>
              ${render(row, row.number === tabStop ? 0 : -1)}
            </li>
          `,
        )}
      </ol>
    </div>
  `;
}
