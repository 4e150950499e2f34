"""Who owns a session shares it on the page, and no longer: two people with tokens that allow nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from daena_mesh.tokens import Claims, Rights, mint
from tests.support.axe import AXE, violations
from tests.support.deadlines import eventually
from tests.support.running_mesh import RunningMesh
from tests.support.windows import live

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
    pytest.mark.promise("P-PAGE-12"),
]

KEY = "a key of tests, of thirty-two bytes"
SECRET = "The boat is hidden in the reeds."


class People:
    """Opens windows for people, each in a browser profile of their own."""

    def __init__(self, browser: Browser, url: str, stack: AsyncExitStack) -> None:
        self._browser = browser
        self._url = url
        self._stack = stack

    async def enter(
        self, user: str, address: str = "", *, read: tuple[str, ...] = (), write: tuple[str, ...] = (), **options: Any
    ) -> Page:
        """Open a window for ``user``, who may do this, and what the owner and the members of a session may."""
        context: BrowserContext = await self._browser.new_context(**options)
        self._stack.push_async_callback(context.close)
        shown = mint(Claims(sub=user, exp=time.time() + 600, mesh=Rights(read, write)), KEY.encode())
        cookie = {"name": "mesh_token", "value": shown, "url": self._url, "httpOnly": True, "sameSite": "Strict"}
        await context.add_cookies([cookie])  # type: ignore[list-item]
        page = await context.new_page()
        page.set_default_timeout(30_000)
        await page.goto(f"{self._url}/{address}")
        await live(page)
        return page


@pytest_asyncio.fixture(loop_scope="module")
async def people(browser: Browser, up: RunningMesh) -> AsyncIterator[People]:
    async with AsyncExitStack() as stack:
        yield People(browser, up.url, stack)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def up(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningMesh]:
    async with RunningMesh(tmp_path_factory.mktemp("mesh"), MESH_TOKEN_KEY=KEY) as up:
        yield up


async def begin(page: Page, title: str) -> str:
    """Begin a session, say something in it, and give its address."""
    await page.get_by_role("button", name="New session").click()
    await page.get_by_label("Title of the new session").fill(title)
    await page.keyboard.press("Enter")
    await expect(page.locator("#chat-title")).to_have_text(title)
    await say(page, SECRET)
    return page.url.partition("/#/")[2]


async def say(page: Page, text: str) -> None:
    await page.fill("#composer-text", text)
    await page.press("#composer-text", "Enter")


async def test_a_session_is_shared_and_shared_no_longer(people: People) -> None:
    ada = await people.enter("ada", write=("session.*.created",))
    address = await begin(ada, "Boats")
    bob = await people.enter("bob", f"#/{address}")
    foreign = bob.get_by_role("heading", name="This session is not shared with you")
    await expect(foreign).to_be_visible()

    await ada.get_by_role("button", name="Share session").click()
    sheet = ada.get_by_role("dialog", name="Share “Boats”")
    await expect(sheet.get_by_label("Name, as in their token")).to_be_focused()
    for name, problem in (("", "Type the name"), ("ada", "yours already")):
        await sheet.get_by_label("Name, as in their token").fill(name)
        await ada.keyboard.press("Enter")
        await expect(sheet.get_by_role("alert")).to_contain_text(problem)
    await sheet.get_by_label("Name, as in their token").fill("bob")
    await ada.keyboard.press("Enter")
    await expect(sheet.get_by_role("list", name="Members")).to_contain_text("bob")
    await expect(sheet.get_by_role("status")).to_contain_text("bob can see all of it now")

    await bob.get_by_role("button", name="Try again").click()
    await expect(bob.locator("#messages")).to_contain_text(SECRET)
    await expect(bob.locator(".here")).to_have_attribute("aria-label", "Here: ada, bob (you)")
    await expect(bob.locator("#session-list")).to_contain_text("Boats")
    await expect(bob.get_by_role("button", name="Share session")).to_have_count(0)
    await say(bob, "Good.")
    await expect(ada.locator("#messages")).to_contain_text("Good.")

    await sheet.get_by_role("button", name="Remove bob").click()
    await expect(sheet.get_by_text("Nobody but you.")).to_be_visible()
    await expect(foreign).to_be_visible()
    await expect(bob.get_by_text(SECRET)).to_have_count(0)
    await expect(bob.locator("#session-list")).not_to_contain_text("Boats")
    await expect(bob.locator("#composer-text")).to_be_disabled()
    await expect(bob.locator("#status")).to_have_attribute("data-state", "connected")
    await expect(bob.get_by_role("dialog")).to_have_count(0)
    await ada.keyboard.press("Escape")
    await expect(sheet).to_have_count(0)
    await say(ada, "Gone.")
    await expect(ada.locator("#messages")).to_contain_text("Gone.")


async def test_what_the_mesh_refuses_is_told_and_can_be_tried_again(people: People) -> None:
    ada = await people.enter("ada", write=("session.*.created",))
    await begin(ada, "Sails")
    await ada.get_by_role("button", name="Share session").click()
    sheet = ada.get_by_role("dialog", name="Share “Sails”")
    box = sheet.get_by_label("Name, as in their token")
    await ada.route("**/members", lambda route: route.abort())
    await box.fill("bob")
    await ada.keyboard.press("Enter")
    await expect(sheet.get_by_role("alert")).to_have_text("Not changed. The mesh does not answer.")
    await ada.unroute("**/members")
    await expect(box).to_have_value("bob")
    await ada.keyboard.press("Enter")
    await expect(sheet.get_by_role("button", name="Remove bob")).to_be_visible()
    await expect(sheet.get_by_role("alert")).to_be_empty()


@pytest.mark.promise("P-PAGE-9")
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_sheet_keeps_nobody_out(people: People, scheme: str) -> None:
    if not AXE.exists():
        pytest.skip("run npm ci --prefix tests/sdk to run this test")
    ada = await people.enter("ada", write=("session.*.created",), color_scheme=scheme, bypass_csp=True)
    await begin(ada, "Oars")
    await ada.get_by_role("button", name="Share session").click()
    sheet = ada.get_by_role("dialog", name="Share “Oars”")
    await sheet.get_by_label("Name, as in their token").fill("bob")
    await ada.keyboard.press("Enter")
    await expect(sheet.get_by_role("button", name="Remove bob")).to_be_enabled()
    await expect(sheet.get_by_role("status")).not_to_be_empty()
    await ada.keyboard.press("Enter")
    await expect(sheet.get_by_role("alert")).to_contain_text("Type the name")
    await ada.add_script_tag(path=AXE)
    wrong = await violations(ada, "share")
    assert wrong == [], json.dumps(wrong, indent=1)


async def test_names_of_any_length_stay_in_the_sheet(people: People) -> None:
    ada = await people.enter("ada", write=("session.*.created",), viewport={"width": 390, "height": 844})
    await begin(ada, "Knots")
    await ada.get_by_role("button", name="Share session").click()
    sheet = ada.get_by_role("dialog", name="Share “Knots”")
    await sheet.get_by_label("Name, as in their token").fill("bob." * 50)
    await ada.keyboard.press("Enter")
    await expect(sheet.get_by_role("status")).not_to_be_empty()
    assert await sheet.evaluate("({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth")


async def test_what_was_shared_meanwhile_is_in_the_list_when_one_looks_again(people: People) -> None:
    ada = await people.enter("ada", write=("session.*.created",))
    await begin(ada, "Nets")
    bob = await people.enter("bob")
    await expect(bob.get_by_role("heading", name="What should the agents work on?")).to_be_visible()
    await ada.get_by_role("button", name="Share session").click()
    sheet = ada.get_by_role("dialog", name="Share “Nets”")
    await sheet.get_by_label("Name, as in their token").fill("bob")
    await ada.keyboard.press("Enter")
    await expect(sheet.get_by_role("status")).not_to_be_empty()
    await expect(bob.locator("#session-list")).not_to_contain_text("Nets")
    await look_again(bob)
    await bob.get_by_role("link", name="Nets").click()
    await expect(bob.locator("#messages")).to_contain_text(SECRET)


@pytest.mark.parametrize("feed", ["no feed", "a feed of other things"])
async def test_what_is_shared_no_longer_is_off_the_list_when_one_looks_again(people: People, feed: str) -> None:
    hooks, lines, sinkers = titles = [f"{title} with {feed}" for title in ("Hooks", "Lines", "Sinkers")]
    ada = await people.enter("ada", write=("session.*.created",))
    bob = await people.enter("bob", read=() if feed == "no feed" else ("agent.>", "session.*.created"))
    listed = bob.locator("#session-list")
    addresses: dict[str, str] = {}
    for title in titles:
        addresses[title] = await begin(ada, title)
        await change_members(ada, title, "Add bob")
        await bob.goto(bob.url.partition("#")[0] + f"#/{addresses[title]}")
        await expect(bob.locator("#messages")).to_contain_text(SECRET)
        await expect(listed).to_contain_text(title)

    await open_session(ada, hooks)
    await change_members(ada, hooks, "Remove bob")
    await expect(listed).to_contain_text(hooks)
    await open_session(bob, lines)
    await expect(listed).not_to_contain_text(hooks)
    await open_session(bob, sinkers)
    await open_session(ada, lines)
    await ada.get_by_role("button", name="Delete session").click()
    await expect(ada.locator("#session-list")).not_to_contain_text(lines)
    await ada.reload()  # who leaves the page undoes nothing any more
    await live(ada)
    await expect(ada.locator("#session-list")).not_to_contain_text(lines)
    await eventually(lambda: is_deleted(ada, addresses[lines]))  # the page itself does not wait for that
    await look_again(bob)
    await expect(listed).not_to_contain_text(lines)
    await expect(listed).to_contain_text(sinkers)
    await expect(bob.locator("#messages")).to_contain_text(SECRET)


async def is_deleted(page: Page, address: str) -> bool:
    """Whether the mesh no longer shows a session to its owner: what is deleted has none."""
    session = address.removeprefix("chat/")
    answer = await page.request.get(f"{page.url.partition('#')[0]}api/v1/chat-history/sessions/{session}")
    return answer.status == 403


async def open_session(page: Page, title: str) -> None:
    await page.get_by_role("link", name=title).click()
    await expect(page.locator("#chat-title")).to_have_text(title)


async def change_members(page: Page, title: str, change: str) -> None:
    """Add somebody to the session that is open, or remove them."""
    await page.get_by_role("button", name="Share session").click()
    sheet = page.get_by_role("dialog", name=f"Share “{title}”")
    if change.startswith("Add "):
        await sheet.get_by_label("Name, as in their token").fill(change.removeprefix("Add "))
        await page.keyboard.press("Enter")
    else:
        await sheet.get_by_role("button", name=change).click()
    await expect(sheet.get_by_role("status")).not_to_be_empty()
    await page.keyboard.press("Escape")


async def look_again(page: Page) -> None:
    """Come back to the window from another tab."""
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))")


async def test_what_was_taken_off_meanwhile_is_off_the_list_when_the_mesh_comes_back(
    people: People, up: RunningMesh
) -> None:
    ada = await people.enter("ada", write=("session.*.created",))
    await begin(ada, "Floats")
    await change_members(ada, "Floats", "Add bob")
    bob = await people.enter("bob")
    await expect(bob.locator("#session-list")).to_contain_text("Floats")
    await change_members(ada, "Floats", "Remove bob")
    await up.restart()
    await expect(bob.locator("#session-list")).not_to_contain_text("Floats")


async def test_who_may_change_every_session_shares_those_of_others(people: People) -> None:
    ada = await people.enter("ada", write=("session.*.created",))
    address = await begin(ada, "Tides")
    everything = ("chat.>", "session.>")
    reader = await people.enter("ron", f"#/{address}", read=everything, write=("session.*.deleted",))
    await expect(reader.locator("#messages")).to_contain_text(SECRET)
    await expect(reader.get_by_role("button", name="Share session")).to_have_count(0)
    admin = await people.enter("amy", f"#/{address}", read=everything, write=("session.*.updated",))
    await admin.get_by_role("button", name="Share session").click()
    sheet = admin.get_by_role("dialog", name="Share “Tides”")
    await expect(sheet.get_by_text("Nobody but ada.")).to_be_visible()
    await sheet.get_by_label("Name, as in their token").fill("ada")
    await admin.keyboard.press("Enter")
    await expect(sheet.get_by_role("alert")).to_have_text("The session is theirs already.")
    await sheet.get_by_label("Name, as in their token").fill("bob")
    await admin.keyboard.press("Enter")
    await expect(sheet.get_by_role("list", name="Members")).to_contain_text("bob")
    bob = await people.enter("bob", f"#/{address}")
    await expect(bob.locator("#messages")).to_contain_text(SECRET)


async def test_who_may_see_no_feed_is_told_so_and_asked_for_no_token(people: People) -> None:
    eve = await people.enter("eve", "#/activity")
    await expect(eve.get_by_text("Your token shows you the sessions that you belong to")).to_be_visible()
    await expect(eve.get_by_role("button", name="Try again")).to_have_count(0)
    await expect(eve.get_by_role("dialog")).to_have_count(0)


async def test_they_are_asked_for_no_token_either_when_the_mesh_comes_back(people: People, up: RunningMesh) -> None:
    ada = await people.enter("ada", write=("session.*.created",))
    await begin(ada, "Ropes")
    await expect(ada.locator(".here")).to_have_attribute("aria-label", "Here: ada (you)")  # the session is followed
    await live(ada)
    await ada.evaluate(
        """() => {
            window.were = new Set();
            const state = () => document.querySelector("#status").dataset.state;
            const look = () => window.were.add(document.querySelector("dialog[open]") ? "asked" : state());
            new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
        }"""
    )
    await up.restart()
    await eventually(lambda: ada.evaluate("window.were.has('recovering')"))
    await live(ada)
    await say(ada, "Back.")
    await expect(ada.locator("#messages")).to_contain_text("Back.")
    were = set(await ada.evaluate("[...window.were]"))
    assert "recovering" in were
    assert not were & {"asked", "failed"}
