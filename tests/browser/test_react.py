"""The React hooks with React itself, below StrictMode, in a real Chromium."""

from __future__ import annotations

import json

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from daena_mesh import Mesh
from tests.support.bundled import bundle, load
from tests.support.cutting_proxy import CuttingProxy
from tests.support.deadlines import eventually, within
from tests.support.running_mesh import RunningMesh

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

LENGTH = "function () { return this.length }"
TOKENS = [f"{i} " for i in range(60)]


@pytest.fixture(scope="module")
def script() -> str:
    return bundle("react_page.jsx")


class Shown:
    """The page: what it shows, and what it says to the edge."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def said(self) -> list[str]:
        """Each ``subscribe`` and ``unsubscribe`` with its topic, in order."""
        messages = [json.loads(text) for text in await self.page.evaluate("told.sent")]
        return [f"{said['type']} {said['topic']}" for said in messages if said["type"].endswith("subscribe")]

    async def show(self, *shown: tuple[str, str, str]) -> None:
        await self.page.evaluate("(shown) => show(shown)", [list(one) for one in shown])

    async def errors(self) -> list[str]:
        return list(await self.page.evaluate("told.errors"))

    async def alive(self, kind: str) -> int:
        """How many objects of a class are left, after a garbage collection."""
        inspector = await self.page.context.new_cdp_session(self.page)
        await inspector.send("HeapProfiler.collectGarbage")
        found = await inspector.send("Runtime.evaluate", {"expression": f"{kind}.prototype"})
        objects = await inspector.send("Runtime.queryObjects", {"prototypeObjectId": found["result"]["objectId"]})
        about = {"objectId": objects["objects"]["objectId"]}
        length = await inspector.send("Runtime.callFunctionOn", {**about, "functionDeclaration": LENGTH})
        await inspector.detach()
        return int(length["result"]["value"])


@pytest_asyncio.fixture(loop_scope="module")
async def shown(page: Page, proxy: CuttingProxy, script: str) -> Shown:
    await load(page, proxy.url, script)
    await page.wait_for_function("globalThis.told?.effects === 2")  # StrictMode runs each effect twice
    return Shown(page)


@pytest.mark.promise("P-REACT-1")
async def test_two_components_of_one_session_follow_it_once_and_leave_nothing(
    up: RunningMesh, proxy: CuttingProxy, shown: Shown, session: str
) -> None:
    page = shown.page
    whole = "".join(TOKENS)
    async with Mesh.connect(up.nats_url) as writer, within(90):
        await writer.chat(session).send("Count.", sender="user")
        await shown.show(("chat", session, "one"), ("chat", session, "two"))
        async with writer.chat(session).stream("daena") as out:
            for i, token in enumerate(TOKENS):
                await out.write(token)
                if i == 30:
                    await expect(page.locator("#two li")).to_have_count(2)
                    await expect(page.locator("#one output")).to_have_text("connected")
                    assert proxy.cut() > 0
        rows = ["user: Count. (stored)", f"daena: {whole} (stored)"]
        await page.locator("#two button").click()
        rows.append("ada: from two (stored)")
        for name in ("one", "two"):
            await expect(page.locator(f"#{name} li")).to_have_text(rows)
        await expect(page.locator("#one output")).to_have_text("connected")
        assert await shown.said() == [f"subscribe chat_{session}"] * 2, "once for each connection"
        assert await page.evaluate("told.sockets") == 2, "one before the cut, one after"

        await shown.show(("chat", session, "two"), ("chat", session, "three"))
        await expect(page.locator("#three li")).to_have_text(rows)
        assert await page.evaluate("chats.two.items === chats.three.items && told.renders < 400")
        assert await shown.alive("Chat") == 1

        await shown.show(("chat", f"{session}-2", "other"))

        async def is_followed_no_more() -> bool:
            return f"unsubscribe chat_{session}" in await shown.said()

        await eventually(is_followed_no_more)
        await expect(page.locator("#other output")).to_have_text("connected")
        await shown.show()

        async def nothing_is_left() -> bool:
            return await shown.alive("Mesh") == 0

        await page.evaluate("void (globalThis.chats = {})")
        await eventually(nothing_is_left)
        assert await shown.alive("Chat") == 0
        assert await page.evaluate("told.sockets") == 2
        await eventually(lambda: proxy.cut() == 0)
        assert await shown.errors() == []


@pytest.mark.promise("P-REACT-1")
async def test_who_leaves_while_it_reconnects_is_not_followed_by_it(
    up: RunningMesh, proxy: CuttingProxy, shown: Shown, session: str
) -> None:
    page, there = shown.page, proxy.port
    async with Mesh.connect(up.nats_url) as writer, within(90):
        await writer.chat(session).send("Hello!", sender="user")
        await shown.show(("chat", session, "one"), ("task", "t-none", "task"))
        await expect(page.locator("#one li")).to_have_count(1)
        await expect(page.locator("#one output")).to_have_text("connected")
        proxy.port = 1  # nobody listens there
        proxy.cut()
        await expect(page.locator("#one output")).to_have_text("recovering")
        await page.locator("#one button").click()
        await expect(page.locator("#one li")).to_have_text(["user: Hello! (stored)", "ada: from one (sending)"])
        await shown.show()
        await page.evaluate("void (globalThis.chats = {})")

        async def nothing_is_left() -> bool:
            return await shown.alive("Mesh") + await shown.alive("Chat") == 0

        await eventually(nothing_is_left)
        sockets = await page.evaluate("told.sockets")
        proxy.port = there
        # What waited was told that it is not sent, and who comes back finds all there is.
        assert ["closed" in error or "close" in error for error in await shown.errors()] == [True]
        await shown.show(("chat", session, "again"))
        await expect(page.locator("#again li")).to_have_text(["user: Hello! (stored)"])
        await expect(page.locator("#again output")).to_have_text("connected")
        assert await page.evaluate("told.sockets") == sockets + 1
        await page.locator("#again button").click()
        await expect(page.locator("#again li")).to_have_text(["user: Hello! (stored)", "ada: from again (stored)"])


@pytest.mark.promise("P-REACT-1")
async def test_a_task_an_agent_and_any_topic_show_as_they_are(up: RunningMesh, shown: Shown) -> None:
    page = shown.page
    async with Mesh.connect(up.nats_url) as worker, within(90):
        async with worker.agent("scout") as agent, agent.task("t1", total=10, title="Read") as task:
            await task.advance(3)
            await shown.show(("task", "t1", "task"), ("agent", "scout", "agent"), ("events", "events", "events"))
            await expect(page.locator("#task")).to_have_text("Read,running,scout,3,true")
            await expect(page.locator("#agent")).to_have_text("busy,t1")
            await expect(page.locator("#events")).to_contain_text("connected")
            await task.advance(3)
            await expect(page.locator("#task")).to_have_text("Read,running,scout,6,true")
        await expect(page.locator("#task")).to_have_text("Read,completed,scout,6,false")
        await expect(page.locator("#agent")).to_have_text("offline")
        await expect(page.locator("#events")).to_contain_text("agent.status")
        assert sorted(await shown.said()) == ["subscribe agent_scout", "subscribe events"]
        await who_types_shows_for_a_while(worker, page)
        assert await shown.errors() == []


async def who_types_shows_for_a_while(worker: Mesh, page: Page) -> None:
    await page.evaluate("show([['chat', 'typing', 'chat']])")
    await expect(page.locator("#chat output")).to_have_text("connected")
    await worker.publish("chat.typing.typing", {"sender": "bob"})
    await expect(page.locator("#chat p")).to_have_text("bob")
    await expect(page.locator("#chat p")).to_have_text("", timeout=20_000)
