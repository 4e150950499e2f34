"""Chats, tasks and agents of the JavaScript client in a real Chromium, over one socket that is cut."""

from __future__ import annotations

import signal
import uuid

import pytest
import pytest_asyncio
from playwright.async_api import Page

from daena_mesh import Mesh
from tests.support.cutting_proxy import CuttingProxy
from tests.support.deadlines import within
from tests.support.running_mesh import RunningMesh

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

TOKENS = [f"{i} " for i in range(400)]

OPEN = """
(session) => import("/sdk/index.js").then(({ open }) => {
  Math.random = () => 0.02; // short waits: how they grow is tested elsewhere
  globalThis.mesh = open();
  globalThis.chat = mesh.chat(session, { sender: "ada" });
  globalThis.agent = mesh.agent("scout");
  globalThis.texts = [];
  globalThis.told = [];
  globalThis.connections = 0;
  let before = "";
  chat.on("state", ({ state }) => {
    connections += state === "connected" && before !== state;
    before = state;
  });
  chat.on("change", () => texts.push(chat.items.map(({ sender, content }) => `${sender}: ${content}`).join("|")));
  for (const type of ["gap", "error"]) chat.on(type, (what) => told.push([type, what]));
})
"""
ITEMS = "chat.items.map(({ sender, content, status }) => [sender, content, status])"


@pytest_asyncio.fixture(loop_scope="module")
async def page(proxy: CuttingProxy, page: Page) -> Page:
    await page.goto(f"{proxy.url}/sdk/index.js")  # a page of this origin with nothing of ours running
    return page


@pytest.mark.promise("P-CLIENT-6", "P-STREAM-6")
async def test_a_chat_is_one_list_over_cuts_in_the_middle_of_a_message(
    up: RunningMesh, proxy: CuttingProxy, page: Page
) -> None:
    session = f"s-{uuid.uuid4().hex[:8]}"
    async with Mesh.connect(up.nats_url) as writer, within(90):
        await writer.chat(session).send("Count.", sender="user")
        async with writer.chat(session).stream("daena") as out:
            for i, token in enumerate(TOKENS):
                await out.write(token)
                if i == 100:  # it opens in the middle of the message
                    await page.evaluate(OPEN, session)
                    await page.wait_for_function("chat.items.some(({ status }) => status === 'streaming')")
                if i in {200, 300}:
                    await page.wait_for_function(f"connections > {proxy.cuts} && chat.state.state === 'connected'")
                    proxy.cut()
        whole = "".join(TOKENS)
        await page.wait_for_function("chat.items.length === 2 && chat.items[1].status === 'stored'")
        assert await page.evaluate(ITEMS) == [["user", "Count.", "stored"], ["daena", whole, "stored"]]
        texts = [text.partition("|daena: ")[2] for text in await page.evaluate("texts")]
        assert all(whole.startswith(text) for text in texts), "a token was missing, or came twice"
        assert texts == sorted(texts, key=len), "it never went back"
        assert len(set(texts)) > 3
        assert proxy.cuts == 2
        await page.evaluate("chat.send('Thanks.')")
        await page.wait_for_function("chat.items.length === 3 && chat.items[2].status === 'stored'")
        assert (await page.evaluate(ITEMS))[2] == ["ada", "Thanks.", "stored"]
        assert [event.payload["content"] for event in await writer.chat(session).history(5)] == [
            "Count.",
            whole,
            "Thanks.",
        ]
        assert await page.evaluate("told") == []


@pytest.mark.promise("P-CLIENT-6", "P-STREAM-6")
async def test_a_page_that_is_reloaded_in_the_middle_of_a_message_shows_all_of_it(
    up: RunningMesh, proxy: CuttingProxy, page: Page
) -> None:
    session = f"s-{uuid.uuid4().hex[:8]}"
    async with Mesh.connect(up.nats_url) as writer, within(90):
        await page.evaluate(OPEN, session)
        async with writer.chat(session).stream("daena") as out:
            for i, token in enumerate(TOKENS):
                await out.write(token)
                if i in {100, 250}:
                    await page.wait_for_function("chat.items.some(({ status }) => status === 'streaming')")
                    await page.reload()
                    await page.evaluate(OPEN, session)
        await page.wait_for_function("chat.items.length === 1 && chat.items[0].status === 'stored'")
        whole = "".join(TOKENS)
        assert await page.evaluate(ITEMS) == [["daena", whole, "stored"]]
        texts = [text.partition("daena: ")[2] for text in await page.evaluate("texts")]
        assert all(whole.startswith(text) for text in texts), "a token was missing, or came twice"
        assert await page.evaluate("told") == []


@pytest.mark.promise("P-CLIENT-6", "P-CLIENT-2")
async def test_a_chat_goes_on_when_the_api_and_the_edge_are_started_again(
    up: RunningMesh, proxy: CuttingProxy, page: Page
) -> None:
    session = f"s-{uuid.uuid4().hex[:8]}"
    await page.evaluate(OPEN, session)
    await page.wait_for_function("chat.state.state === 'connected'")
    await page.evaluate("chat.send('before')")
    await up.stop(signal.SIGKILL)
    await page.wait_for_function("chat.state.state === 'recovering'")
    await page.evaluate("void (globalThis.sent = chat.send('meanwhile'))")
    await page.wait_for_function("chat.items.length === 2 && chat.items[1].status === 'sending'")
    await up.start()
    await page.evaluate("sent")
    async with Mesh.connect(up.nats_url) as writer:
        await writer.chat(session).send("after", sender="scout")
        said = [["ada", "before", "stored"], ["ada", "meanwhile", "stored"], ["scout", "after", "stored"]]
        await page.wait_for_function("chat.items.length === 3")
        assert await page.evaluate(ITEMS) == said
        history = await writer.chat(session).history(10)
        assert [event.payload["content"] for event in history] == [content for _, content, _ in said]
    assert await page.evaluate("told") == []


@pytest.mark.promise("P-CLIENT-6")
async def test_a_task_and_an_agent_are_as_they_are_now(up: RunningMesh, proxy: CuttingProxy, page: Page) -> None:
    async with Mesh.connect(up.nats_url) as worker, within(60):
        async with worker.agent("scout") as agent:
            async with agent.task("t1", total=10, title="Read") as task:
                await task.advance(3)
                await page.evaluate(OPEN, "any")
                await page.evaluate("void (globalThis.task = mesh.task('t1'))")
                await page.wait_for_function("task.progress?.done === 3 && agent.tasks.length === 1")
                await page.wait_for_function("agent.status === 'busy'")
                assert await page.evaluate("[task.title, task.agent, task.isOpen]") == ["Read", "scout", True]
                proxy.cut()
                await task.advance(3)
                await agent.activity("reading")
                await page.wait_for_function("task.progress?.done === 6 && agent.activity !== null")
            await page.wait_for_function("task.status === 'completed' && !task.isOpen && agent.tasks.length === 0")
        await page.wait_for_function("agent.status === 'offline'")
