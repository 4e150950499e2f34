"""Chromium as people have it, where tabs in the background are hidden and may be frozen: Playwright keeps all awake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import BrowserContext, CDPSession, Page, Playwright

from tests.support.chromium import FLAGS
from tests.support.deadlines import eventually, within


@asynccontextmanager
async def bare_chromium(playwright: Playwright, chromium: Path, profile: Path) -> AsyncIterator[BrowserContext]:
    """Give the windows of a Chromium that Playwright only looks at."""
    arguments = [*FLAGS, "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={profile}"]
    process = await asyncio.create_subprocess_exec(
        chromium, *arguments, "about:blank", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        address = ""
        async with within(30):
            while not address:
                line = (await process.stderr.readline()).decode()
                assert line, "Chromium ended"
                address = line.partition("DevTools listening on ")[2].strip()
        draining = asyncio.create_task(process.stderr.read())
        browser = await playwright.chromium.connect_over_cdp(address, no_defaults=True)
        yield browser.contexts[0]
        await browser.close()
    finally:
        process.terminate()
        await process.wait()
    await draining


async def freeze(page: Page, other: Page) -> CDPSession:
    """Have a tab sleep behind another one, as Chromium does to one that has been in the background for long."""
    await other.bring_to_front()
    await until(page, "document.visibilityState === 'hidden'")
    client = await page.context.new_cdp_session(page)
    await client.send("Page.setWebLifecycleState", {"state": "frozen"})
    return client


async def thaw(client: CDPSession) -> None:
    """Wake it."""
    await client.send("Page.setWebLifecycleState", {"state": "active"})


async def until(page: Page, condition: str) -> None:
    """Wait until something holds in a page, which may be hidden and so never be painted."""
    await eventually(lambda: page.evaluate(condition), within_s=60)
