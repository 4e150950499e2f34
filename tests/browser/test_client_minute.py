"""The JavaScript client in a real Chromium for a minute: under 500 events a second, and asleep."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from playwright.async_api import Browser, CDPSession, async_playwright

from daena_mesh import Mesh
from tests.support.bare_chromium import bare_chromium, freeze, thaw, until
from tests.support.deadlines import within
from tests.support.flood import flood
from tests.support.minute import SECONDS
from tests.support.running_mesh import RunningMesh

pytestmark = [
    pytest.mark.browser,
    pytest.mark.minute,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
    pytest.mark.promise("P-CLIENT-9"),
]

PER_S = 500
AT_ONCE = 50
SHOWN = 100
LONGEST_MS = 100
MOST_GROWTH_BYTES = 100_000
"""What is alive at the end is the same to a kilobyte each time; a cursor kept of each event would be twice this."""

SHOW = """
async ([topic, shown]) => {
  const { connect } = await import("/sdk/mesh.js");
  globalThis.count = 0;
  globalThis.wrong = 0;
  globalThis.told = [];
  document.body.innerHTML = "<ol></ol>";
  const list = document.querySelector("ol");
  const newest = [];
  let isDue = false;
  globalThis.connection = connect(topic);
  connection.on("chat.message", ({ payload }) => {
    wrong += payload.content !== count;
    count += 1;
    newest.push(payload.content);
    if (newest.length > shown) newest.shift();
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      list.replaceChildren(...newest.map((content) => {
        const row = document.createElement("li");
        row.textContent = content;
        return row;
      }));
    });
  });
  for (const type of ["gap", "error"]) connection.on(type, (what) => told.push([type, what]));
  await new Promise((resolve) => connection.on("state", ({ state }) => state === "connected" && resolve()));
}
"""


def tasks(trace: bytes) -> list[tuple[float, float]]:
    """List the tasks of the page's main thread: when each ended, in s, and what it took of a core, in ms.

    Where others take turns on the same cores a task of 20 ms lasts for 200; so what counts is what it took.
    """
    events = json.loads(trace)["traceEvents"]
    mains = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name" and "CrRendererMain" in str(e["args"])}
    ran = [e for e in events if e["name"].endswith("::RunTask") and (e["pid"], e["tid"]) in mains]
    return sorted((e["ts"] / 1e6, e["tdur"] / 1e3) for e in ran if "tdur" in e)


async def heap(client: CDPSession) -> int:
    """Measure what is alive."""
    await client.send("HeapProfiler.collectGarbage")
    usage = await client.send("Runtime.getHeapUsage")
    return int(usage["usedSize"])


async def test_500_events_a_second_cost_no_long_task_and_no_memory(browser: Browser, up: RunningMesh) -> None:
    context = await browser.new_context(bypass_csp=True)
    page = await context.new_page()
    await page.goto(f"{up.url}/sdk/mesh.js")
    client = await context.new_cdp_session(page)
    await page.evaluate(SHOW, ["chat_busy", SHOWN])
    sizes: list[int] = []
    turns = range(SECONDS * PER_S // AT_ONCE)
    await browser.start_tracing(page=page, categories=["toplevel"])
    loop = asyncio.get_running_loop()
    async with Mesh.connect(up.nats_url) as publisher, within(SECONDS * 3):
        begun = loop.time()
        for turn in turns:
            await asyncio.sleep(max(0.0, begun + turn * AT_ONCE / PER_S - loop.time()))
            await flood(publisher, "chat.busy.message", range(turn * AT_ONCE, (turn + 1) * AT_ONCE))
            if turn == len(turns) // 10:
                sizes.append(await heap(client))
        lasted = loop.time() - begun
        await until(page, f"count >= {SECONDS * PER_S}")
    ran = tasks(await browser.stop_tracing())
    sizes.append(await heap(client))
    longest = max(took for _, took in ran)
    busy = sum(took for _, took in ran) / 1e3
    print(
        f"{SECONDS * PER_S} events in {lasted:.1f} s: {busy:.1f} s of a core, {longest:.0f} ms for the longest task,"
        f" heap {sizes[0]} to {sizes[-1]} bytes"
    )
    assert await page.evaluate("[count, wrong, told]") == [SECONDS * PER_S, 0, []]
    assert ran[-1][0] - ran[0][0] > 0.9 * lasted
    assert longest <= LONGEST_MS
    assert sizes[-1] <= sizes[0] + MOST_GROWTH_BYTES, sizes
    await context.close()


async def test_a_tab_that_slept_catches_up_when_it_wakes(chromium: Path, up: RunningMesh, tmp_path: Path) -> None:
    async with (
        async_playwright() as playwright,
        bare_chromium(playwright, chromium, tmp_path) as context,
        Mesh.connect(up.nats_url) as publisher,
    ):
        page = await context.new_page()
        client = await context.new_cdp_session(page)
        await client.send("Page.setBypassCSP", {"enabled": True})
        await page.goto(f"{up.url}/sdk/mesh.js")
        await page.evaluate(SHOW, ["chat_asleep", SHOWN])
        chat = publisher.chat("asleep")
        await flood(publisher, "chat.asleep.message", range(10))
        await until(page, "count === 10")
        sleeping = await freeze(page, await context.new_page())
        for number in range(10, 10 + SECONDS):
            await flood(publisher, "chat.asleep.message", [number])
            await asyncio.sleep(1)
        await thaw(sleeping)
        await chat.send("awake", sender="scout")
        await until(page, f"count === {SECONDS + 11}")
        assert await page.evaluate("[wrong, told]") == [1, []]  # the last one is no number
        assert await page.evaluate("connection.state.state") == "connected"
