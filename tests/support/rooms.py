"""The rooms of the page: going to one, filling it, and looking at it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

from playwright.async_api import Browser, Page, expect

from daena_mesh import Mesh
from tests.support.windows import window

ROOMS = ("chat", "activity", "agents", "tasks", "council", "brain", "mesh")


class Look(NamedTuple):
    """How a room is looked at."""

    name: str
    width: int
    height: int
    theme: str


WIDE = Look("light", 1440, 900, "light")
DARK = Look("dark", 1440, 900, "dark")
PHONE = Look("phone", 390, 844, "light")


async def council(mesh: Mesh, council_id: str = "board") -> None:
    """Have a council propose, vote and decide."""

    async def say(**update: str) -> None:
        await mesh.publish(f"council.{council_id}.update", {"council_id": council_id, "update": update})

    await say(
        type="proposal",
        proposal_id="p1",
        title="Move the archive to object storage",
        text="It grows by 40 GB a month; object storage costs a fifth.",
        by="librarian",
    )
    for who, vote in (("scout", "approve"), ("clerk", "approve"), ("auditor", "reject"), ("reader", "approve")):
        await say(type="vote", proposal_id="p1", by=who, vote=vote)
    await say(type="decision", proposal_id="p1", decision="accepted", by="chair", reason="Three of four.")
    await say(
        type="proposal",
        proposal_id="p2",
        title="Answer only with a source",
        text="Each answer names file and line, or says that it does not know.",
        by="auditor",
    )
    await say(type="vote", proposal_id="p2", by="clerk", vote="approve")
    await say(type="vote", proposal_id="p2", by="scout", vote="abstain")


async def brain(mesh: Mesh, brain_id: str = "main", count: int = 24) -> None:
    """Have a brain tell how it is, some times."""
    for i in range(count):
        status = {
            "state": "online",
            "model": "llama3.2",
            "models": ["llama3.2", "qwen3:4b"],
            "server": "http://127.0.0.1:11434/v1",
            "latency_ms": 4 + i % 3,
            "first_token_ms": 200 + i * 53 % 90,
            "answering": i % 3,
        }
        await mesh.publish(f"brain.{brain_id}.status", {"brain_id": brain_id, "status": status})


async def enter(page: Page, room: str) -> None:
    """Go to a room, and wait until it is there."""
    await page.get_by_role("navigation", name="Rooms").get_by_role("link", name=room.capitalize()).click()
    await expect(page.locator("html")).to_have_attribute("data-room", room)
    await shown(page)


async def shown(page: Page) -> None:
    """Wait until a room has what it waits for."""
    await expect(page.locator("#room h2:visible, #room h3:visible").first).to_be_visible()
    await expect(page.locator("#room [aria-busy=true], #room .skeleton")).to_have_count(0)


async def take(browser: Browser, url: str, address: str, look: Look, to: Path, *, settles_s: float = 0) -> None:
    """Take a picture of a room, at rest, after it was looked at for a while."""
    room = address.split("/", maxsplit=1)[0]
    options = {"viewport": {"width": look.width, "height": look.height}, "color_scheme": look.theme}
    async with window(browser, f"{url}/#/{address}", reduced_motion="reduce", **options) as page:
        await shown(page)
        await at_rest(page, room)
        await asyncio.sleep(settles_s)
        await page.screenshot(path=to, animations="disabled")


async def at_rest(page: Page, room: str) -> None:
    """Wait until a room shows something, and its charts are drawn."""
    if room in {"brain", "mesh"}:
        await expect(page.locator(".plot canvas").first).to_be_visible()
    if room == "mesh":
        await page.wait_for_function("document.querySelectorAll('#mesh tbody tr').length > 5")


async def is_too_wide(page: Page) -> list[str]:
    """Give what stands out of the window sideways."""
    found: list[str] = await page.evaluate(
        """() => [...document.querySelectorAll('#room *')].filter((each) => {
            const { right, left, width } = each.getBoundingClientRect();
            const isOut = width > 0 && (right > innerWidth + 1 || left < -1);
            return isOut && !each.closest('.scroll, .lines, .councils, pre');
        }).map((each) => `${each.tagName} ${each.className}`).slice(0, 5)"""
    )
    return found
