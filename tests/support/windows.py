"""Windows of a browser on the page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, Page

BLANK = "/sdk/mesh.js"
"""The address of a page of the mesh's origin with nothing of ours running: a script, shown as text."""


@asynccontextmanager
async def window(browser: Browser, url: str, **options: Any) -> AsyncIterator[Page]:
    """A window of its own profile that is live; closing it demands that nothing went wrong in it."""
    wrong: list[str] = []
    context = await browser.new_context(**options)
    page = await context.new_page()
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(f"a dialog: {dialog.message}"))
    page.on(
        "console",
        lambda message: wrong.append(message.text) if "Content Security Policy" in message.text else None,
    )
    await page.goto(url)
    if url != "about:blank":
        await live(page)
    yield page
    await context.close()
    assert not wrong


async def live(page: Page) -> None:
    """Wait until the page says that it is connected."""
    await page.wait_for_selector("#status[data-state=connected]")
