"""The room of everything that happens, in a real Chromium on a real mesh: in order, found again, and fast."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, Route, expect

from daena_mesh import Mesh
from daena_mesh.connection import header_block
from tests.support.main_thread import watched
from tests.support.minute import SECONDS
from tests.support.rooms import enter
from tests.support.running_mesh import RunningMesh
from tests.support.windows import live, window

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

TRACE = "0af7651916cd43dd8448eb211c80319c"
MANY = 10_000
RATE = 500
LONG_MS = 100
MOST_GROWTH = 2_000_000
"""Of the rows that are kept there are a tenth more at times, which is 1 MB; all of ten seconds would take 4 MB."""
_SCROLL = """(place) => {
    const box = document.querySelector(".rows");
    box.scrollTop = box.scrollHeight * place;
    return new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)));
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(up: RunningMesh) -> AsyncIterator[Mesh]:
    async with Mesh.connect(up.nats_url) as mesh:
        yield mesh


def said(page: Page) -> Locator:
    """What the events say that are in the document."""
    return page.locator(".event .says")


async def act(mesh: Mesh, agent: str, *texts: str) -> list[str]:
    """Have an agent do things, and give their cursors."""
    return [
        (await mesh.publish(f"agent.{agent}.activity", {"agent_id": agent, "activity": text})).cursor for text in texts
    ]


def burst(mesh: Mesh, agent: str, first: int, count: int) -> None:
    """Have an agent do many things at once; nobody waits for them to be stored."""
    for number in range(first, first + count):
        payload = {"agent_id": agent, "activity": {"state": "counting", "number": number, "note": "n" * 100}}
        mesh.connection.publish(f"agent.{agent}.activity", msgspec.json.encode(payload))


@pytest.mark.promise("P-ROOM-1")
async def test_events_stand_in_order_and_are_found_by_type_subject_agent_and_text(
    browser: Browser, up: RunningMesh, mesh: Mesh
) -> None:
    async with mesh.agent("scout") as scout:
        await scout.activity("reading", file="a.txt")
        await act(mesh, "clerk", "filing", "sorting")
        async with window(browser, f"{up.url}/#/activity") as page:
            await expect(said(page).filter(has_text=re.compile("^(filing|sorting|reading.*)$"))).to_have_text(
                ["reading · file a.txt", "filing", "sorting"]
            )
            await act(mesh, "clerk", "stamping")
            await expect(said(page).last).to_have_text("stamping")
            await page.get_by_role("button", name="Filter").click()
            await page.fill("#feed-agent", "clerk")
            await expect(said(page)).to_have_text(["filing", "sorting", "stamping"])
            await page.fill("#feed-text", "SORT")
            await expect(said(page)).to_have_text(["sorting"])
            await expect(page).to_have_url(re.compile(r"agent=clerk.*text=SORT"))
            await page.get_by_role("button", name="Clear").click()
            await page.select_option("#feed-filter", "agent.activity")
            await expect(said(page)).to_have_text(["reading · file a.txt", "filing", "sorting", "stamping"])
            await page.fill("#feed-subject", "agent.scout.>")
            await expect(said(page)).to_have_text(["reading · file a.txt"])
            await scout.activity("resting")
            await expect(said(page)).to_have_text(["reading · file a.txt", "resting"])
            await page.fill("#feed-subject", "agent..>")
            await expect(page.locator("#feed-subject")).to_have_attribute("aria-invalid", "true")
            await page.fill("#feed-subject", "agent.clerk.*")
            await expect(said(page)).to_have_text(["filing", "sorting", "stamping"])
            await page.reload()  # what is wanted is in the address
            await live(page)
            await expect(said(page)).to_have_text(["filing", "sorting", "stamping"])
            await expect(page.locator("#feed-subject")).to_have_value("agent.clerk.*")


@pytest.mark.promise("P-ROOM-1")
async def test_a_pause_counts_what_waits_and_one_key_is_back_at_the_latest(
    browser: Browser, up: RunningMesh, mesh: Mesh
) -> None:
    async with window(browser, f"{up.url}/#/activity?agent=pauser") as page:
        await act(mesh, "pauser", "one")
        await expect(said(page)).to_have_text(["one"])
        await page.click("#feed-pause")
        await act(mesh, "pauser", "two", "three")
        await act(mesh, "somebody", "else")
        await expect(page.locator("#feed-pause")).to_have_text("Resume (2)")
        await expect(said(page)).to_have_text(["one"])
        await page.click("#feed-pause")
        await expect(said(page)).to_have_text(["one", "two", "three"])
        await page.locator(".event").last.focus()
        await page.keyboard.press("p")
        await act(mesh, "pauser", "four")
        await expect(page.locator("#feed-pause")).to_have_text("Resume (1)")
        await page.keyboard.press("l")
        await expect(said(page).last).to_have_text("four")
        await expect(page.locator("#feed-pause")).to_have_text("Pause")
        # Whoever reads further up is not moved, and told what is new.
        burst(mesh, "pauser", 0, 200)
        await expect(said(page).last).to_contain_text("number 199")
        await page.locator(".rows").hover()
        await page.mouse.wheel(0, -3_000)
        await expect(page.locator(".latest")).to_be_visible()
        await asyncio.sleep(0.5)  # until the wheel has come to rest
        held = await said(page).all_inner_texts()
        burst(mesh, "pauser", 200, 30)
        await expect(page.locator(".latest")).to_contain_text("30 new")
        assert await said(page).all_inner_texts() == held
        await page.click(".latest")
        await expect(said(page).last).to_contain_text("number 229")
        await expect(page.locator(".latest")).to_have_count(0)


@pytest.mark.promise("P-ROOM-1")
async def test_time_travel_reads_the_log_from_a_moment_or_a_cursor_up_to_now(
    browser: Browser, up: RunningMesh, mesh: Mesh
) -> None:
    cursors = await act(mesh, "traveller", "before", "then", "after")
    async with window(browser, f"{up.url}/#/activity?agent=traveller") as page:
        await page.get_by_role("button", name="Time travel").click()
        await page.fill("#travel-cursor", cursors[0])
        await page.get_by_role("button", name="Go", exact=True).click()
        await expect(said(page)).to_have_text(["then", "after"])
        await expect(page.locator(".past")).to_contain_text("up to now")
        await act(mesh, "traveller", "later")  # now is reached: it follows
        await expect(said(page)).to_have_text(["then", "after", "later"])
        await page.get_by_role("button", name="Back to live").click()
        await expect(said(page)).to_have_text(["before", "then", "after", "later"])
        await page.get_by_role("button", name="Time travel").click()
        await page.get_by_role("button", name="5 min ago").click()
        await expect(page).to_have_url(re.compile(r"at=20"))
        await expect(said(page)).to_have_text(["before", "then", "after", "later"])
        await page.goto(f"{up.url}/#/activity?since=Rnonsense-1")
        await expect(page.locator(".notice")).to_contain_text("The log could not be read.")


@pytest.mark.promise("P-ROOM-1")
async def test_a_click_shows_the_event_its_trace_and_the_command_that_shows_the_like(
    browser: Browser, up: RunningMesh, mesh: Mesh
) -> None:
    for number, span in ((1, "b7ad6b7169203331"), (2, "c7ad6b7169203331")):
        body = msgspec.json.encode({"agent_id": "tracer", "activity": f"step {number}"})
        block = header_block({"traceparent": f"00-{TRACE}-{span}-01"})
        await mesh.connection.request("agent.tracer.activity", body, timeout_s=5, headers=block)
    await act(mesh, "tracer", "something else")
    async with window(
        browser, f"{up.url}/#/activity?agent=tracer", permissions=["clipboard-read", "clipboard-write"]
    ) as page:
        await page.locator(".event", has_text="step 1").click()
        detail = page.locator(".event-detail")
        await expect(detail.locator(".json")).to_contain_text('"activity": "step 1"')
        await expect(detail.locator(".trace .says")).to_have_text(["step 1", "step 2"])
        await detail.get_by_role("button", name="Copy as nats sub").click()
        await expect(page.locator(".toast")).to_contain_text("copied")
        assert await page.evaluate("navigator.clipboard.readText()") == "nats sub 'agent.tracer.activity'"
        await detail.locator(".trace button").last.click()
        await expect(detail.locator(".json")).to_contain_text('"activity": "step 2"')
        await page.keyboard.press("Escape")
        await expect(detail).to_have_count(0)
        assert await page.evaluate("document.activeElement.classList.contains('event')")
        await page.locator(".event", has_text="something else").click()
        await expect(detail).to_contain_text("It belongs to no trace")
        await detail.get_by_role("button", name="Only this subject").click()
        await expect(page.locator("#feed-subject")).to_have_value("agent.tracer.activity")


@pytest.mark.promise("P-ROOM-1")
async def test_the_keyboard_goes_through_the_list(browser: Browser, up: RunningMesh, mesh: Mesh) -> None:
    burst(mesh, "keys", 0, 300)
    async with window(browser, f"{up.url}/#/activity?agent=keys") as page:
        await expect(said(page).last).to_contain_text("number 299")

        async def at(number: int) -> None:
            await expect(page.locator(".event:focus .says")).to_contain_text(f"number {number} ")

        await page.locator(".event").last.focus()
        for key, number in (("ArrowUp", 298), ("Home", 0), ("ArrowDown", 1), ("ArrowUp", 0), ("End", 299)):
            await page.keyboard.press(key)
            await at(number)
        await page.keyboard.press("PageUp")
        await expect(page.locator(".event:focus")).to_have_count(1)
        await page.keyboard.press("Enter")
        await expect(page.locator(".event-detail")).to_be_visible()


@pytest.mark.promise("P-ROOM-5")
async def test_ten_thousand_rows_are_few_in_the_document_and_all_within_reach(
    browser: Browser, up: RunningMesh, mesh: Mesh
) -> None:
    async with window(browser, f"{up.url}/#/activity?agent=many") as page:
        await expect(page.locator("#feed")).to_be_visible()
        for first in range(0, MANY, 1_000):
            burst(mesh, "many", first, 1_000)
            await expect(said(page).last).to_contain_text(f"number {first + 999} ", timeout=30_000)
        count = page.locator("#feed .count")
        await expect(count).to_have_text(re.compile(r"^(9,[5-9]\d\d|1[01],\d\d\d)$"))
        seen: set[str] = set()
        async with watched(browser, page) as found:
            for place in (0.9, 0.5, 0.1, 0.6, 0.98):
                await page.evaluate(_SCROLL, place)
                rows = await said(page).all_inner_texts()
                assert 10 < len(rows) < 100
                seen |= set(rows)
        assert found["cpu_ms"] <= LONG_MS, found
        assert len(seen) > 60
        await page.keyboard.press("l")
        await expect(said(page).last).to_contain_text(f"number {MANY - 1} ")


@pytest.mark.promise("P-ROOM-1")
async def test_the_newest_stands_last_when_the_log_is_read_in_the_middle_of_a_flood(
    browser: Browser, up: RunningMesh, mesh: Mesh
) -> None:
    stored = asyncio.Event()

    async def read_later(route: Route) -> None:
        await stored.wait()
        await route.continue_()

    async with window(browser, "about:blank") as page:
        await page.route("**/api/v1/events?*", read_later)
        await page.goto(f"{up.url}/#/activity?agent=early")
        await live(page)
        for number in range(0, 700, 100):
            burst(mesh, "early", number, 100)
            await act(mesh, "pacer", "on")
        await act(mesh, "early", "stored")
        stored.set()
        await expect(said(page).last).to_have_text("stored")
        burst(mesh, "early", 700, 1)
        await expect(said(page).last).to_contain_text("number 700 ")
        shown = await said(page).all_inner_texts()
        numbers = [int(match[1]) for text in shown if (match := re.search(r"number (\d+) ", text))]
        assert numbers == sorted(numbers)
        assert len(numbers) > 5


@pytest.mark.minute
@pytest.mark.promise("P-ROOM-5")
@pytest.mark.timeout(300)
async def test_a_flood_makes_no_long_tasks_and_takes_no_memory(browser: Browser, up: RunningMesh, mesh: Mesh) -> None:
    async with window(browser, f"{up.url}/#/activity?agent=flood") as page:
        session = await page.context.new_cdp_session(page)
        number = 0

        async def flood(seconds: float) -> None:
            nonlocal number
            loop = asyncio.get_running_loop()
            began, sent = loop.time(), 0
            while (since := loop.time() - began) < seconds:
                due = int(since * RATE) - sent
                burst(mesh, "flood", number, due)
                number, sent = number + due, sent + due
                await asyncio.sleep(0.02)
            await expect(said(page).last).to_contain_text(f"number {number - 1} ", timeout=30_000)

        async def heap() -> Any:
            await session.send("HeapProfiler.collectGarbage")
            return (await session.send("Runtime.getHeapUsage"))["usedSize"]

        # What is kept is bounded: until it is full, memory grows. What the first page of the log overtook is not kept.
        kept = 0
        while kept < MANY - 100:
            assert number < 5 * MANY
            burst(mesh, "flood", number, 1_000)
            await act(mesh, "pacer", "on")  # when all before it is stored: NATS drops what waits behind 10,000
            number += 1_000
            await expect(said(page).last).to_contain_text(f"number {number - 1} ", timeout=60_000)
            kept = int(await page.locator("#feed-list li").last.get_attribute("aria-setsize") or 0)
        before = await heap()
        async with watched(browser, page) as found:
            await flood(SECONDS)
        after = await heap()
        print(f"{SECONDS:g} s at {RATE}/s: {found}, heap {before:,} -> {after:,} bytes")
        assert found["tasks"] > SECONDS
        assert found["cpu_ms"] <= LONG_MS, found
        assert after - before < MOST_GROWTH


async def test_what_one_left_is_there_when_one_comes_back(browser: Browser, up: RunningMesh, mesh: Mesh) -> None:
    async with window(browser, f"{up.url}/#/activity") as page:
        await act(mesh, "absent", "first")
        await expect(said(page).last).to_have_text("first")
        await enter(page, "council")
        await act(mesh, "absent", "second")
        await enter(page, "activity")
        await expect(said(page).last).to_have_text("second")
