"""The chat room: two people with names, Markdown, and what is done with sessions."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from daena_mesh import Mesh
from tests.support.deadlines import eventually
from tests.support.running_mesh import RunningMesh
from tests.support.windows import live, window

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

LINKS = "[a](javascript:alert(1)) [b](data:text/html,x) <javascript:alert(2)> [c](https://example.org/)"
NEVER_SENT = """() => {
  const really = fetch;
  fetch = (url, options) => {
    if (options?.method !== "DELETE") return really(url, options);
    sessionStorage.setItem("lost", options.headers["Idempotency-Key"]);
    return new Promise(() => {});
  };
}"""
"""What is deleted is lost with the page."""


@asynccontextmanager
async def person(browser: Browser, up: RunningMesh, name: str, session: str) -> AsyncIterator[Page]:
    """A window of somebody who gave themselves a name."""
    async with window(browser, up.url) as page:
        await page.get_by_role("button", name="Say who you are").click()
        await page.get_by_label("Your name").fill(name)
        async with page.expect_navigation():
            await page.get_by_role("button", name="Save").click()
        await live(page)
        await page.goto(f"{up.url}/#/chat/{session}")
        yield page


async def say(up: RunningMesh, session: str, text: str, sender: str = "scout") -> None:
    """Say something through the API."""
    async with httpx.AsyncClient(base_url=f"{up.url}/api/v1") as client:
        body = {"message": text, "session_id": session, "sender": sender}
        (await client.post("/daena/chat", json=body)).raise_for_status()


async def write(page: Page, text: str) -> None:
    """Write a message as a person does."""
    await page.fill("#composer-text", text)
    await page.press("#composer-text", "Enter")


def row(page: Page, session: str) -> Locator:
    """A session in the list."""
    return page.locator(f'#session-list a[href="#/chat/{session}"]')


@pytest.mark.promise("P-PAGE-1", "P-PAGE-7")
async def test_two_people_chat(browser: Browser, up: RunningMesh, session: str) -> None:
    await say(up, session, "Who is here?")
    async with person(browser, up, "ada", session) as ada, person(browser, up, "bob", session) as bob:
        for page in (ada, bob):
            here = await eventually(lambda page=page: _here(page), within_s=30)  # type: ignore[misc]
            assert "ada" in here
            assert "bob" in here
        await ada.locator("#composer-text").press_sequentially("I am")
        await expect(bob.locator(".typing")).to_have_text("ada is typing…")
        await expect(ada.locator(".typing")).to_have_text("")
        await ada.press("#composer-text", "Enter")
        await expect(bob.locator(".body")).to_have_text(["Who is here?", "I am"])
        await write(bob, "So am I")
        for page, mine, theirs in [(ada, "I am", "So am I"), (bob, "So am I", "I am")]:
            await expect(page.locator(".body")).to_have_text(["Who is here?", "I am", "So am I"])
            await expect(page.locator(".mine .body")).to_have_text([mine])
            await expect(page.locator(".theirs .body").last).to_have_text(theirs)
        await bob.goto(f"{up.url}/#/agents")
        await expect(bob.locator("html")).to_have_attribute("data-room", "agents")  # the session is left
        await write(ada, "Still there?")
        await expect(bob.locator(".rail-mark")).to_have_text("1 unread")
        await bob.goto(f"{up.url}/#/chat")
        await expect(row(bob, session).locator(".unread")).to_contain_text("1")
        await bob.reload()
        await live(bob)
        await expect(row(bob, session).locator(".unread")).to_contain_text("1")
        await row(bob, session).click()
        await expect(bob.locator(".message:has(.new-from) .body")).to_have_text(["Still there?"])
        await expect(row(bob, session).locator(".unread")).to_have_count(0)
        await bob.goto("about:blank")
        await eventually(lambda: _alone(ada, "ada"), within_s=60)


async def _here(page: Page) -> str:
    """Who the page says is here, once there are two."""
    words = await page.locator(".here").first.get_attribute("aria-label") or ""
    return words if "," in words else ""


async def _alone(page: Page, name: str) -> bool:
    return await page.locator(".here").get_attribute("aria-label") == f"Here: {name} (you)"


@pytest.mark.promise("P-PAGE-4")
async def test_markdown_reads_as_such_and_leads_nowhere_unsafe(browser: Browser, up: RunningMesh, session: str) -> None:
    await say(up, session, "**Two**:\n\n- a\n- `b`\n\n```python\nx = '<b>'\n```\n\n| n |\n|---|\n| 1 |")
    await say(up, session, LINKS)
    async with window(browser, f"{up.url}/#/chat/{session}", permissions=["clipboard-read", "clipboard-write"]) as page:
        first, second = page.locator(".body").nth(0), page.locator(".body").nth(1)
        await expect(first.locator("strong")).to_have_text("Two")
        await expect(first.locator("li")).to_have_text(["a", "b"])
        await expect(first.locator("td")).to_have_text("1")
        await expect(first.locator("pre")).to_have_text("x = '<b>'")
        await first.get_by_role("button", name="Copy code").click()
        await expect(first.locator("[data-says=Copied]")).to_have_count(1)
        assert await page.evaluate("navigator.clipboard.readText()") == "x = '<b>'"
        links = await second.locator("a").evaluate_all("links => links.map(({ href, rel }) => [href, rel])")
        assert links == [["https://example.org/", "noopener noreferrer nofollow"]]
        await expect(second).to_contain_text("[a](javascript:alert(1))")


@pytest.mark.promise("P-PAGE-8")
async def test_what_was_written_outlives_a_reload(browser: Browser, up: RunningMesh, session: str) -> None:
    await say(up, session, "Go on.")
    async with window(browser, f"{up.url}/#/chat/{session}") as page:
        await expect(page.locator(".body")).to_have_text(["Go on."])
        await page.route("**/api/v1/daena/chat", lambda route: route.abort())
        await write(page, "lost on the way")
        await expect(page.locator(".failed-note")).to_contain_text("Not sent.")
        await page.fill("#composer-text", "half a thou")
        await page.unroute("**/api/v1/daena/chat")
        await page.reload()
        await live(page)
        await expect(page.locator("#composer-text")).to_have_value("half a thou")
        await expect(page.locator(".failed .body")).to_have_text("lost on the way")
        await page.get_by_role("button", name="Try again").click()
        await expect(page.locator(".message.stored .body")).to_have_text(["Go on.", "lost on the way"])
        await page.reload()
        await live(page)
        await expect(page.locator(".body")).to_have_text(["Go on.", "lost on the way"])


async def fits(page: Page, box: Locator) -> None:
    """See that a box shows what is in it, on a wide window and on a phone."""
    wide = page.viewport_size
    assert wide is not None
    for size in ({"width": 390, "height": 844}, wide):
        await page.set_viewport_size(size)  # type: ignore[arg-type]
        await expect(box).to_be_visible()
        assert await box.evaluate("({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth")


async def test_sessions_are_found_renamed_and_deleted_with_a_way_back(
    browser: Browser, up: RunningMesh, session: str
) -> None:
    async with httpx.AsyncClient(base_url=f"{up.url}/api/v1/chat-history") as client:
        word = uuid.uuid4().hex[:8]
        ids = []
        for title, scope in [("hires", {"scope_type": "department", "scope_id": "HR"}), ("plans", {})]:
            made = await client.post("/sessions", json={"title": f"{word} {title}", **scope})
            ids.append(made.json()["session_id"])
        hires, plans = ids
        async with window(browser, f"{up.url}/#/chat/{plans}") as page:
            await expect(row(page, plans)).to_have_attribute("aria-current", "page")  # the room is there, with its keys
            await page.locator("#room").focus()
            await page.keyboard.press("/")
            await expect(page.locator("#session-search")).to_be_focused()
            await page.keyboard.type(word)
            await expect(page.locator("#session-list a")).to_have_count(2)
            await page.get_by_role("button", name="Departments").click()
            await expect(page.locator("#session-list a")).to_have_count(1)
            await expect(row(page, hires)).to_be_visible()
            await page.get_by_role("button", name="All", exact=True).click()
            await page.get_by_role("button", name="Rename session").click()
            await page.get_by_label("Title", exact=True).fill(f"{word} other plans")
            await fits(page, page.get_by_label("Title", exact=True))
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("button", name="Rename session")).to_be_focused()
            await expect(page.locator("#chat-title")).to_have_text(f"{word} other plans")
            await expect(row(page, plans)).to_contain_text("other plans")

            await page.get_by_role("button", name="Delete session").click()
            await expect(row(page, plans)).to_have_count(0)
            await page.get_by_role("button", name="Undo").click()
            await expect(row(page, plans)).to_have_attribute("aria-current", "page")
            assert (await client.get(f"/sessions/{plans}")).status_code == 200

            await page.get_by_role("button", name="Delete session").click()
            await expect(row(page, plans)).to_have_count(0)
            await page.goto("about:blank")  # who leaves undoes nothing any more

            async def gone() -> bool:
                return (await client.get(f"/sessions/{plans}")).status_code == 410

            await eventually(gone, within_s=30)  # with the browser goes what it has not sent yet


async def test_what_is_deleted_while_the_page_goes_is_deleted_by_the_next_one(
    browser: Browser, up: RunningMesh
) -> None:
    async with httpx.AsyncClient(base_url=f"{up.url}/api/v1/chat-history") as client:
        made = await client.post("/sessions", json={"title": "never sent"})
        session_id = made.json()["session_id"]
        async with window(browser, f"{up.url}/#/chat/{session_id}") as page:
            await page.evaluate(NEVER_SENT)
            await page.get_by_role("button", name="Delete session").click()
            await expect(row(page, session_id)).to_have_count(0)
            async with page.expect_response(lambda response: response.request.method == "DELETE") as deleted:
                await page.reload()
            request = (await deleted.value).request
            assert request.headers["idempotency-key"] == await page.evaluate("sessionStorage.getItem('lost')")
            await expect(page.locator("#session-list")).to_be_visible()
            await expect(row(page, session_id)).to_have_count(0)
            assert (await client.get(f"/sessions/{session_id}")).status_code == 410
            assert await page.evaluate("sessionStorage.getItem('mesh:deleting')") is None


async def test_an_agent_is_asked_from_its_card(browser: Browser, up: RunningMesh) -> None:
    async with Mesh.connect(up.nats_url) as mesh, mesh.agent("oracle") as oracle:

        @oracle.on_ask
        async def answer(ask: object, out: object) -> None:
            await out.write("**Yes.**")  # type: ignore[attr-defined]

        await oracle.activity("waiting")
        async with window(browser, f"{up.url}/#/agents") as page:
            card = page.locator("#agent-list > li", has_text="oracle")
            await expect(card.locator(".badge")).to_have_text("online")
            await card.get_by_role("link", name="oracle").click()
            await expect(page.locator(".did li")).to_contain_text(["waiting"])
            await page.get_by_label("Ask oracle").fill("Will it hold?")
            await page.keyboard.press("Enter")
            await expect(page.locator(".body")).to_have_text(["Will it hold?", "Yes."])
            await page.go_back()
            await expect(page.locator("#agent-detail-title")).to_have_text("oracle")
