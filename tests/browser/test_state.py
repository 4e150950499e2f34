"""Agents and tasks on the page, in a real Chromium, of agents of the real SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from daena_mesh import Mesh
from tests.support.deadlines import eventually, within
from tests.support.running_mesh import RunningMesh
from tests.support.windows import live, window

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

HOSTILE = "<img src=x onerror=\"document.title='hacked';alert(1)\"><script>alert(2)</script>"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(up: RunningMesh) -> AsyncIterator[Mesh]:
    async with Mesh.connect(up.nats_url) as mesh:
        yield mesh


async def show(page: Page, name: str) -> None:
    """Go to a room."""
    await page.get_by_role("navigation", name="Rooms").get_by_role("link", name=name).click()


def agent(page: Page, name: str) -> Locator:
    """An agent's row."""
    return page.locator("#agent-list > li").filter(has=page.locator(".name", has_text=name))


def task(page: Page, task_id: str) -> Locator:
    """A task's row."""
    return page.locator(f'#tasks li[data-task="{task_id}"]')


@pytest.mark.promise("P-PAGE-6")
async def test_a_page_that_is_opened_later_shows_how_everything_is_and_follows(
    browser: Browser, up: RunningMesh, mesh: Mesh
) -> None:
    async with mesh.agent("scout") as scout, scout.task("index", total=10, title="Index the handbook") as index:
        await scout.activity("reading", file="a.txt")
        await index.advance(3, note="chapter 1")
        async with window(browser, up.url) as page:
            await show(page, "Agents")
            await expect(agent(page, "scout").locator(".badge")).to_have_text("busy")
            await expect(agent(page, "scout").locator(".does")).to_have_text("reading · file a.txt")
            await expect(agent(page, "scout").locator(".more")).to_have_text("1 task")
            await show(page, "Tasks")
            await expect(page.locator("#agents")).to_have_count(0)
            row = task(page, "index")
            await expect(row.locator(".name")).to_have_text("Index the handbook")
            await expect(row.locator(".words")).to_contain_text("3 of 10")
            await expect(row.locator(".does")).to_have_text("chapter 1")
            await expect(row.locator("progress")).to_have_js_property("value", 0.3)
            await index.advance(5, note=HOSTILE)  # live, and as a text
            await expect(row.locator(".words")).to_contain_text("8 of 10")
            await expect(row.locator(".does")).to_have_text(HOSTILE)
            await scout.activity(HOSTILE)
            await show(page, "Agents")
            await expect(agent(page, "scout").locator(".does")).to_have_text(HOSTILE)
            await page.reload()
            await live(page)
            await expect(agent(page, "scout").locator(".does")).to_have_text(HOSTILE)
            assert await page.locator("#agents img, body script").count() == 0


@pytest.mark.promise("P-PAGE-6", "P-STATE-2")
async def test_a_task_is_cancelled_from_the_page(browser: Browser, up: RunningMesh, mesh: Mesh) -> None:
    async with within(60), mesh.agent("worker") as worker:
        ended: list[str] = []

        async def work() -> None:
            async with worker.task("endless", title="Endless") as endless:
                while True:
                    await endless.advance()
                    await asyncio.sleep(0.1)
            ended.append(endless.status)

        working = asyncio.create_task(work())
        try:
            async with window(browser, up.url) as page:
                await show(page, "Tasks")
                await page.get_by_role("button", name="Cancel Endless").click()
                await eventually(lambda: ended)
                assert ended == ["cancelled"]
                await expect(task(page, "endless").locator(".badge")).to_have_text("cancelled")
                await expect(page.get_by_role("button", name="Cancel Endless")).to_have_count(0)
                await expect(task(page, "endless").locator(".problem")).to_be_hidden()
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


async def test_what_cannot_be_cancelled_says_why_and_can_be_tried_again(
    browser: Browser, up: RunningMesh, mesh: Mesh
) -> None:
    await mesh.publish("task.lost.update.nobody", {"status": "running", "progress": 0.5})
    async with window(browser, up.url) as page:
        await show(page, "Tasks")
        row, button = task(page, "lost"), page.get_by_role("button", name="Cancel lost")
        await expect(row.locator("progress")).to_have_js_property("value", 0.5)
        await button.click()
        await expect(row.locator(".problem")).to_have_text("Not cancelled. Agent 'nobody' is not there.")
        await expect(button).to_have_text("Cancel")
        await expect(button).to_be_enabled()
        await mesh.publish("task.lost.update.nobody", {"status": "failed", "reason": "lost"})
        await expect(row.locator(".badge")).to_have_text("failed")
        await expect(row.locator(".problem")).to_be_hidden()


async def test_rooms_are_entered_by_keys_and_stay_over_a_reload(browser: Browser, up: RunningMesh) -> None:
    async with window(browser, up.url) as page:
        await page.locator("#room").focus()
        for key, room in [("a", "#feed"), ("g", "#agents"), ("t", "#tasks"), ("c", "#chat")]:
            await page.keyboard.press("g")
            await page.keyboard.press(key)
            await expect(page.locator(room)).to_be_visible()
        await page.keyboard.press("g")
        await page.keyboard.press("t")
        await page.reload()
        await expect(page.locator("#tasks")).to_be_visible()
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog", name="Keyboard")).to_be_hidden()


async def test_a_phone_shows_tasks_without_scrolling_sideways(browser: Browser, up: RunningMesh, mesh: Mesh) -> None:
    await mesh.publish(
        "task.long.update.scout", {"status": "running", "title": "long " * 60, "progress": {"note": "x" * 500}}
    )
    async with window(browser, up.url, viewport={"width": 390, "height": 844}, has_touch=True) as page:
        await show(page, "Tasks")
        await expect(task(page, "long")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
