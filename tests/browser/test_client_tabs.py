"""Tabs of a real Chromium that share one socket, and lose the tab that has it in every way there is."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from daena_mesh import Mesh
from tests.support.bare_chromium import bare_chromium, freeze, thaw, until
from tests.support.cutting_proxy import CuttingProxy
from tests.support.deadlines import eventually, within
from tests.support.running_mesh import RunningMesh

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
    pytest.mark.promise("P-CLIENT-8"),
]

FOLLOW = """
async ([session, number, how]) => {
  Math.random = () => 0.02; // short waits: how they grow is tested elsewhere
  const { open } = await import("/sdk/mesh.js");
  const { TabSocket } = await import("/sdk/tabs.js");
  const { SseSocket } = await import("/sdk/sse.js");
  globalThis.seen = [];
  globalThis.told = [];
  globalThis.sent = 0;
  globalThis.acknowledged = 0;
  globalThis.mesh = open({ fallback: false, WebSocket: how === "sse" ? TabSocket.over(SseSocket) : TabSocket });
  globalThis.chat = mesh.follow(`chat_${session}`, number === 1 ? { history: 100 } : { since: "" });
  chat.on("chat.message", ({ payload }) => seen.push(`${payload.sender} ${payload.content}`));
  for (const type of ["gap", "error"]) for (const of of [chat, mesh]) of.on(type, (what) => told.push([type, what]));
  globalThis.say = () => mesh
    .send(`chat.${session}.message`, { sender: `tab${number}`, content: `m${sent++}` })
    .then(() => (acknowledged += 1), (error) => told.push(["refused", error.code]));
}
"""


class Tabs:
    """Tabs that follow one session."""

    def __init__(self, url: str, how: str = "ws") -> None:
        self.url = url
        self.session = f"tabs-{uuid.uuid4().hex[:8]}"
        self.pages: dict[int, Page] = {}
        self.opened: list[int] = []
        """Who had a socket of the mesh, each time that one was opened."""
        self._how = how

    async def open(self, context: BrowserContext, count: int) -> None:
        for number in range(len(self.pages) + 1, len(self.pages) + count + 1):
            page = await context.new_page()
            self.pages[number] = page
            client = await context.new_cdp_session(page)
            await client.send("Page.setBypassCSP", {"enabled": True})  # what is shown there is no page
            self._watch(number, page)
            await page.goto(f"{self.url}/sdk/mesh.js")
            await page.evaluate(FOLLOW, [self.session, number, self._how])
            await until(page, "chat.state.state === 'connected'")

    def _watch(self, number: int, page: Page) -> None:
        def opened(url: str) -> None:
            if "/ws" in url or "/sse/" in url:
                self.opened.append(number)

        page.on("websocket", lambda socket: opened(socket.url))
        page.on("request", lambda request: opened(request.url))

    @property
    def leader(self) -> Page:
        return self.pages[self.opened[-1]]

    async def settled(self, publisher: Mesh, *, without: Page | None = None) -> None:
        """Each tab was shown all, once and in order, and what it said is there once."""
        pages = {number: page for number, page in self.pages.items() if page is not without}
        for page in pages.values():
            await until(page, "acknowledged === sent && mesh.waiting === 0")
        history = await publisher.chat(self.session).history(1_000)
        stored = [f"{event.payload['sender']} {event.payload['content']}" for event in history]
        for number, page in pages.items():
            await until(page, f"seen.at(-1) === '{stored[-1]}'")
            seen = await page.evaluate("seen")
            assert seen == stored[-len(seen) :], number
            assert await page.evaluate("told") == []
            assert [text for text in stored if text.startswith(f"tab{number} ")] == [
                f"tab{number} m{i}" for i in range(await page.evaluate("sent"))
            ]
        assert len(set(stored)) == len(stored)


@asynccontextmanager
async def tabs_at(browser: Browser, url: str, count: int = 3, how: str = "ws") -> AsyncIterator[Tabs]:
    context = await browser.new_context()
    tabs = Tabs(url, how)
    await tabs.open(context, count)
    yield tabs
    await context.close()


async def talk(tabs: Tabs, publisher: Mesh, count: int, *, without: Page | None = None) -> None:
    """Say something in the session, from outside and from each tab."""
    for _ in range(count):
        await publisher.chat(tabs.session).send(uuid.uuid4().hex, sender="scout")
        for page in tabs.pages.values():
            if page is not without:
                await page.evaluate("void say()")


@pytest.mark.parametrize("how", ["ws", "sse"])
async def test_all_tabs_have_one_socket(browser: Browser, up: RunningMesh, how: str) -> None:
    async with tabs_at(browser, up.url, how=how) as tabs, Mesh.connect(up.nats_url) as publisher:
        await talk(tabs, publisher, 10)
        await tabs.settled(publisher)
        assert tabs.opened[0] == 1
        assert set(tabs.opened) == {1}
        assert how == "sse" or tabs.opened == [1]


async def test_over_a_network_that_is_cut_nothing_is_lost_in_any_tab(browser: Browser, up: RunningMesh) -> None:
    async with (
        CuttingProxy(up.port).running() as proxy,
        tabs_at(browser, proxy.url) as tabs,
        Mesh.connect(up.nats_url) as publisher,
    ):
        for _ in range(5):
            await talk(tabs, publisher, 3)
            await eventually(proxy.cut)
        await talk(tabs, publisher, 3)
        await tabs.settled(publisher)


@pytest.mark.parametrize("how", ["closed", "crashed", "left"])
async def test_when_the_leading_tab_is_gone_another_one_takes_over(browser: Browser, up: RunningMesh, how: str) -> None:
    async with tabs_at(browser, up.url) as tabs, Mesh.connect(up.nats_url) as publisher:
        await talk(tabs, publisher, 5)
        leader = tabs.leader
        client = await leader.context.new_cdp_session(leader)
        going = asyncio.create_task(talk(tabs, publisher, 20, without=leader))
        if how == "closed":
            await leader.close()
        elif how == "crashed":
            crashing = asyncio.create_task(client.send("Page.crash"))  # it is never answered
            async with within(30):
                await leader.wait_for_event("crash")
            crashing.cancel()
        else:
            await leader.goto("about:blank")
        await going
        await tabs.settled(publisher, without=leader)
        assert tabs.leader is not leader


async def test_a_leading_tab_that_falls_asleep_hands_over_and_catches_up_when_it_wakes(
    chromium: Path, up: RunningMesh, tmp_path: Path
) -> None:
    tabs = Tabs(up.url)
    async with (
        async_playwright() as playwright,
        bare_chromium(playwright, chromium, tmp_path) as context,
        Mesh.connect(up.nats_url) as publisher,
    ):
        await tabs.open(context, 3)
        await talk(tabs, publisher, 5)
        leader = tabs.leader
        sleeping = await freeze(leader, tabs.pages[3])
        await talk(tabs, publisher, 20, without=leader)
        await tabs.settled(publisher, without=leader)
        assert tabs.leader is not leader
        await thaw(sleeping)
        await tabs.settled(publisher)
        await talk(tabs, publisher, 3)
        await tabs.settled(publisher)
        assert tabs.leader is not leader


async def test_a_leading_tab_that_hangs_is_replaced_as_soon_as_somebody_comes(
    browser: Browser, up: RunningMesh
) -> None:
    async with tabs_at(browser, up.url) as tabs, Mesh.connect(up.nats_url) as publisher:
        await talk(tabs, publisher, 5)
        leader = tabs.leader
        client = await leader.context.new_cdp_session(leader)
        await client.send("Debugger.enable")
        await client.send("Debugger.pause")
        await publisher.chat(tabs.session).send("which makes it stop", sender="scout")
        await talk(tabs, publisher, 3, without=leader)
        await tabs.open(leader.context, 1)
        await talk(tabs, publisher, 3, without=leader)
        await tabs.settled(publisher, without=leader)
        assert tabs.leader is not leader
        await client.send("Debugger.disable")  # it goes on as if nothing had been
        await talk(tabs, publisher, 3)
        await tabs.settled(publisher)
