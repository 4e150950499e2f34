"""The page in a real Chromium, against a real mesh."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Locator, Page, Request, Route, expect

from tests.support.deadlines import eventually
from tests.support.running_mesh import RunningMesh
from tests.support.windows import live, window

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

IDLE_S = 5.0
HOSTILE = "<img src=x onerror=\"document.title='hacked';alert(1)\"><script>alert(2)</script>${7*7}"
ASKED_WHO = """(session) => {
  const asked = performance.getEntriesByType("resource");
  const has = (path) => asked.some(({ name }) => new URL(name).pathname === `/api/v1/${path}`);
  return has(`presence/chat_${session}`) && has("me");
}"""
"""Whether it has asked who is in the session, as it does once it follows it, and who one is."""
PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 100))))"
"""What it does once something is shown, it does after that was painted."""


def messages(page: Page) -> Locator:
    """The texts of the conversation."""
    return page.locator("#messages .body")


def row(page: Page, session: str) -> Locator:
    """A session in the list."""
    return page.locator(f'#session-list a[href="#/chat/{session}"]')


async def enter(page: Page, room: str) -> None:
    """Go to a room."""
    await page.get_by_role("navigation", name="Rooms").get_by_role("link", name=room).click()


def said_in_feed(page: Page, session: str, text: str) -> Locator:
    """The rows of the room of all activity for a message."""
    return page.locator(".event", has_text=f"chat.messagechat.{session}").filter(has_text=text)


async def write(page: Page, text: str) -> None:
    """Write a message as a person does."""
    await page.fill("#composer-text", text)
    await page.press("#composer-text", "Enter")


async def say(up: RunningMesh, session: str, text: str, **more: Any) -> dict[str, Any]:
    """Say something through the API."""
    async with httpx.AsyncClient(base_url=up.url) as client:
        answer = await client.post("/api/v1/daena/chat", json={"message": text, "session_id": session, **more})
        answer.raise_for_status()
        said: dict[str, Any] = answer.json()
        return said


@pytest.mark.promise("P-PAGE-1")
async def test_two_windows_see_each_others_messages(browser: Browser, up: RunningMesh) -> None:
    async with window(browser, up.url) as first, window(browser, up.url) as second:
        await write(first, "Where do we stand?")
        await first.wait_for_url("**/#/chat/*")
        await second.locator("#session-list a", has_text="Where do we stand?").first.click()
        await expect(second).to_have_url(first.url)
        await write(second, "On firm ground.")
        await expect(messages(first)).to_have_text(["Where do we stand?", "On firm ground."])
        await write(first, "Good.")
        for page in (first, second):
            await expect(messages(page)).to_have_text(["Where do we stand?", "On firm ground.", "Good."])
            await expect(page.locator(".message.sending, .message.failed")).to_have_count(0)
            await enter(page, "Activity")
            await expect(page.locator(".event .says", has_text="On firm ground.")).to_have_count(1)


@pytest.mark.promise("P-PAGE-2")
async def test_a_reload_keeps_history_and_brings_what_was_missed(
    browser: Browser, up: RunningMesh, session: str
) -> None:
    await say(up, session, "before")
    async with window(browser, f"{up.url}/#/chat/{session}") as page:
        await expect(messages(page)).to_have_text(["before"])
        await say(up, session, "live")
        await expect(messages(page)).to_have_text(["before", "live"])
        await page.goto("about:blank")
        await say(up, session, "meanwhile")
        await page.go_back()
        await live(page)
        await say(up, session, "after")
        await expect(messages(page)).to_have_text(["before", "live", "meanwhile", "after"])
        await expect(row(page, session)).to_have_attribute("aria-current", "page")
        await enter(page, "Activity")
        for text in ("live", "meanwhile", "after"):
            await expect(said_in_feed(page, session, text)).to_have_count(1)


@pytest.mark.promise("P-PAGE-3")
async def test_an_idle_page_asks_for_nothing(browser: Browser, up: RunningMesh, session: str) -> None:
    await say(up, session, "first")
    async with window(browser, f"{up.url}/#/chat/{session}") as page:
        await expect(messages(page)).to_have_text(["first"])
        await eventually(lambda: page.evaluate(ASKED_WHO, session))
        await live(page)  # it asks who one is with each connection
        await page.evaluate(PAINTED)
        await page.wait_for_load_state("networkidle")
        asked: list[str] = []

        def note(request: Request) -> None:
            asked.append(request.url)

        page.on("request", note)
        page.on("websocket", lambda socket: asked.append(socket.url))
        await say(up, session, "second")
        await expect(messages(page)).to_have_text(["first", "second"])
        await asyncio.sleep(IDLE_S)
        assert asked == []


@pytest.mark.promise("P-PAGE-4")
async def test_hostile_texts_are_texts(browser: Browser, up: RunningMesh, session: str) -> None:
    async with httpx.AsyncClient(base_url=up.url) as client:
        made = await client.post("/api/v1/chat-history/sessions", json={"title": HOSTILE})
        made.raise_for_status()
        session = made.json()["session_id"]
    await say(up, session, HOSTILE, sender=HOSTILE)
    async with window(browser, f"{up.url}/#/chat/{session}") as page:
        await say(up, session, f"{HOSTILE} live")
        await expect(messages(page)).to_have_text([HOSTILE, f"{HOSTILE} live"])
        assert await page.locator("#messages img, #session-list img, body script").count() == 0
        await enter(page, "Activity")
        await page.locator(".event", has_text=f"{HOSTILE} live").last.click()
        await expect(page.locator(".event-detail .json")).to_contain_text("onerror")
        assert await page.locator("#feed-list img, body script").count() == 0
        assert await page.title() != "hacked"


@pytest.mark.promise("P-PAGE-5")
async def test_says_when_the_server_is_gone_and_recovers_by_itself(
    browser: Browser, tmp_path: Path, session: str
) -> None:
    async with RunningMesh(tmp_path / "mesh") as up:
        await say(up, session, "before")
        async with window(browser, f"{up.url}/#/chat/{session}") as page:
            await expect(messages(page)).to_have_text(["before"])
            await up.stop()
            await page.wait_for_selector("#status[data-state=recovering]")
            await expect(page.locator("#composer-hint")).to_contain_text("Nothing is lost")
            await write(page, "into the void")
            await expect(page.locator(".failed-note")).to_contain_text("Not sent.")
            await up.start()
            await say(up, session, "after")
            await live(page)
            await expect(page.locator(".message.stored .body")).to_have_text(["before", "after"])
            await page.get_by_role("button", name="Try again").click()
            await expect(messages(page)).to_have_text(["before", "after", "into the void"])
            await expect(page.locator(".failed-note")).to_have_count(0)


async def test_a_failed_message_is_sent_once_when_tried_again(browser: Browser, up: RunningMesh, session: str) -> None:
    await say(up, session, "before")
    async with window(browser, f"{up.url}/#/chat/{session}") as page:
        await expect(messages(page)).to_have_text(["before"])
        keys: list[str | None] = []

        async def lose_the_answer(route: Route) -> None:
            keys.append(route.request.headers.get("idempotency-key"))
            if len(keys) == 1:
                await route.fetch()  # the mesh takes it, and the page never hears of it
                await route.abort()
            else:
                await route.continue_()

        await page.route("**/api/v1/daena/chat", lose_the_answer)
        await write(page, "once")
        await page.get_by_role("button", name="Try again").click()
        await expect(page.locator(".failed-note")).to_have_count(0)
        await expect(messages(page)).to_have_text(["before", "once"])
        assert len(keys) == 2
        assert keys[0] == keys[1]


async def test_a_session_that_does_not_exist_yet_opens_with_its_first_message(
    browser: Browser, up: RunningMesh, session: str
) -> None:
    async with window(browser, f"{up.url}/#/chat/{session}") as page:
        await expect(page.locator("#chat-note")).to_contain_text("No such session yet")
        await say(up, session, "Hello!", sender="scout")
        await expect(messages(page)).to_have_text(["Hello!"])
        await expect(page.locator("#messages .sender")).to_have_text(["scout"])
        await write(page, "Hello, scout.")
        await expect(messages(page)).to_have_text(["Hello!", "Hello, scout."])


async def test_a_session_with_an_agent_goes_to_that_agent(browser: Browser, up: RunningMesh, session: str) -> None:
    async with httpx.AsyncClient(base_url=f"{up.url}/api/v1") as client, window(browser, up.url) as page:
        await client.post("/agents/scout/chat", json={"message": "Hello!", "session_id": session})
        await page.goto(f"{up.url}/#/chat/{session}")
        await expect(page.locator("#composer-text")).to_have_attribute("placeholder", "Message scout…")
        await write(page, "What did you find?")
        await expect(messages(page)).to_have_text(["Hello!", "What did you find?"])
        await expect(page.locator(".message.stored .body")).to_have_text(["Hello!", "What did you find?"])
        stored = (await client.get(f"/chat-history/sessions/{session}")).json()["messages"]
        assert [message["payload"]["metadata"].get("agent_id") for message in stored] == ["scout", "scout"]
        await page.goto(f"{up.url}/#/")
        await expect(page.locator("#composer-text")).to_have_attribute("placeholder", "Message Daena…")


async def test_a_deleted_session_leaves_every_window(browser: Browser, up: RunningMesh, session: str) -> None:
    await say(up, session, "soon gone")
    async with window(browser, f"{up.url}/#/chat/{session}") as page:
        await expect(messages(page)).to_have_text(["soon gone"])
        async with httpx.AsyncClient(base_url=up.url) as client:
            (await client.delete(f"/api/v1/chat-history/sessions/{session}")).raise_for_status()
        await expect(page.locator("#chat-note")).to_contain_text("This session was deleted")
        await expect(row(page, session)).to_have_count(0)
        await expect(page.locator("#composer-text")).to_be_disabled()


async def test_the_keyboard_is_enough(browser: Browser, up: RunningMesh) -> None:
    title = f"By hand {uuid.uuid4().hex[:6]}"
    async with window(browser, up.url) as page:
        await expect(page.locator("#new-session-button")).to_be_visible()
        for _ in range(25):
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement.id") == "new-session-button":
                break
        await page.keyboard.press("Enter")
        await expect(page.locator("#new-title")).to_be_focused()
        await page.keyboard.type(title)
        await page.keyboard.press("Enter")
        await expect(page.locator("#chat-title")).to_have_text(title)
        await expect(page.locator("#composer-text")).to_be_focused()
        await page.keyboard.type("line one")
        await page.keyboard.press("Shift+Enter")
        await page.keyboard.type("line two")
        await page.keyboard.press("Enter")
        await expect(messages(page)).to_have_text(["line one\nline two"])
        await page.locator("#session-list a").first.focus()
        await page.keyboard.press("ArrowDown")
        assert await page.evaluate("document.activeElement.closest('#session-list') !== null")


async def test_a_phone_shows_one_pane_at_a_time(browser: Browser, up: RunningMesh, session: str) -> None:
    await say(up, session, "on the road")
    async with window(browser, up.url, viewport={"width": 390, "height": 844}, has_touch=True) as page:
        panes = {name: page.locator(f"#{name}") for name in ("sessions", "chat", "feed")}
        await row(page, session).tap()
        await expect(messages(page)).to_have_text(["on the road"])
        assert [name for name, pane in panes.items() if await pane.is_visible()] == ["chat"]
        await page.get_by_role("link", name="All sessions").tap()
        await expect(row(page, session)).to_be_visible()
        assert [name for name, pane in panes.items() if await pane.is_visible()] == ["sessions"]
        await enter(page, "Activity")
        await expect(panes["feed"]).to_be_visible()
        assert [name for name, pane in panes.items() if await pane.is_visible()] == ["feed"]
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390


async def test_addresses_from_before_there_were_rooms_still_lead_there(
    browser: Browser, up: RunningMesh, session: str
) -> None:
    await say(up, session, "as ever")
    async with window(browser, f"{up.url}/#/s/{session}") as page:
        await expect(messages(page)).to_have_text(["as ever"])


@pytest.mark.promise("P-PAGE-5")
async def test_a_page_that_does_not_arrive_whole_is_loaded_once_more_and_then_says_so(
    browser: Browser, up: RunningMesh
) -> None:
    lost = 1

    async def lose(route: Route) -> None:
        nonlocal lost
        lost -= 1
        await (route.abort() if lost >= 0 else route.continue_())

    context = await browser.new_context()
    page = await context.new_page()
    await page.route("**/sdk/line.js", lose)
    await page.goto(up.url, wait_until="commit")
    await live(page)
    lost = 10
    await page.evaluate("sessionStorage.clear()")
    await page.goto(f"{up.url}/?again", wait_until="commit")
    await expect(page.get_by_role("alert")).to_contain_text("did not arrive whole", timeout=30_000)
    lost = 0
    await page.get_by_role("link", name="Try again").click()
    await live(page)
    await context.close()


@pytest.mark.promise("P-PAGE-5")
async def test_a_page_of_which_no_script_arrives_says_so(browser: Browser, up: RunningMesh) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await page.route("**/*.js", lambda route: route.abort())
    await page.goto(up.url, wait_until="commit")
    await expect(page.get_by_text("did not arrive whole")).to_be_visible()
    await context.close()
