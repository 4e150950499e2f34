"""What the main thread of a page has to do, by Chromium's own trace."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Page


@asynccontextmanager
async def watched(browser: Browser, page: Page) -> AsyncIterator[dict[str, float]]:
    """Measure the tasks of a page's thread in a block: the longest by its own time, ``cpu_ms``, and by the clock.

    Whatever else this machine does at the time makes tasks long by the clock alone.
    """
    found: dict[str, float] = {}
    await browser.start_tracing(page=page, categories=["toplevel", "__metadata"])
    try:
        yield found
    finally:
        trace = json.loads(await browser.stop_tracing())["traceEvents"]
    main = {(e["pid"], e["tid"]) for e in trace if e["name"] == "thread_name" and e["args"]["name"] == "CrRendererMain"}
    tasks = [e for e in trace if e.get("ph") == "X" and "RunTask" in e["name"] and (e["pid"], e["tid"]) in main]
    found["tasks"] = len(tasks)
    found["cpu_ms"] = max(e.get("tdur", 0) for e in tasks) / 1_000
    found["clock_ms"] = max(e["dur"] for e in tasks) / 1_000
