"""The JavaScript client in a real Chromium, while its network is cut at random and edges are killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from tests.support.chromium import FLAGS
from tests.support.cutting_proxy import CuttingProxy
from tests.support.deadlines import eventually, within
from tests.support.edge_command import EdgeCommand, edge_command
from tests.support.minute import IS_WHOLE, SECONDS
from tests.support.nginx import behind_nginx
from tests.support.running_mesh import RunningMesh

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

MESSAGES = 2_000 if IS_WHOLE else 800
KILLS = {MESSAGES // 3: "edge-0", MESSAGES * 2 // 3: "edge-1"}
PACE_S = SECONDS / MESSAGES

FOLLOW = """
async ([topic, how]) => {
  const [{ connect }, { SseSocket }] = await Promise.all([import("/sdk/mesh.js"), import("/sdk/sse.js")]);
  globalThis.seen = [];
  globalThis.told = [];
  globalThis.acknowledged = [];
  globalThis.states = [];
  globalThis.sent = 0;
  globalThis.connection = connect(topic, how === "sse" ? { WebSocket: SseSocket } : { fallback: false });
  connection.on("chat.message", ({ payload }) => seen.push(`${payload.sender} ${payload.content}`));
  for (const type of ["gap", "error"]) connection.on(type, (what) => told.push([type, what]));
  globalThis.say = (subject) => connection
    .send(subject, { sender: "page", content: `m${sent++}` })
    .then((ack) => acknowledged.push(ack), (error) => told.push(["refused", error.code]));
  connection.on("state", ({ state, reason }) => states.push(`${Math.round(performance.now())} ms: ${state} ${reason}`));
}
"""


async def follow(page: Page, topic: str, how: str) -> None:
    """Have the page follow a topic, and wait until it does."""
    async with within(60):
        await page.evaluate(FOLLOW, [topic, how])
    await page.wait_for_function("connection.state.state === 'connected'")


@asynccontextmanager
async def explained(page: Page, *edges: EdgeCommand) -> AsyncIterator[None]:
    """Print what the page and the edges know where something goes wrong in the block."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):
            async with within(5):
                known = await page.evaluate("({ states, told, waiting: connection.waiting, seen: seen.length })")
                print(json.dumps(known, indent=1))
        for edge in edges:
            print(edge.log)
        raise


@pytest.mark.promise("P-CLIENT-5", "P-CLIENT-2", "P-RESUME-2")
@pytest.mark.minute
@pytest.mark.parametrize("how", ["ws", "sse"])
async def test_all_messages_come_once_and_in_order(
    how: str, nginx: Path, shared_nats: NatsServer, chromium: Path, tmp_path: Path
) -> None:
    session = f"chaos-{how}-{uuid.uuid4().hex[:8]}"
    chance = random.Random(session)
    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(behind_nginx(nginx, shared_nats.url, tmp_path))
        proxy = await stack.enter_async_context(CuttingProxy(int(mesh.url.rpartition(":")[2])).running())
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page(bypass_csp=True)  # Playwright waits by evaluating strings
        page.set_default_timeout(60_000)
        await page.goto(f"{proxy.url}/sdk/mesh.js")
        await stack.enter_async_context(explained(page, *mesh.edges.values()))
        await follow(page, f"chat_{session}", how)

        async def cut() -> None:
            while True:
                await asyncio.sleep(chance.uniform(2, 5))
                proxy.cut()
                await page.evaluate(f"void say('chat.{session}.message')")

        cutting = asyncio.create_task(cut())
        publisher = await stack.enter_async_context(Mesh.connect(shared_nats.url))
        async with within(200):
            for number in range(MESSAGES):
                await publisher.chat(session).send(f"m{number}", sender="scout")
                await asyncio.sleep(PACE_S)
                if name := KILLS.get(number):
                    edge = mesh.edges[name]
                    await edge.end(signal.SIGKILL)
                    again = edge_command(
                        shared_nats.url, folder=tmp_path / name, port=edge.port, edge_id=name, open_loopback=False
                    )
                    await stack.enter_async_context(again)
        cutting.cancel()
        expected = MESSAGES + int(await page.evaluate("sent"))
        await page.wait_for_function(f"seen.length >= {expected} && acknowledged.length === sent")
        seen = await page.evaluate("seen")
        assert [text for text in seen if text.startswith("scout")] == [f"scout m{i}" for i in range(MESSAGES)]
        said = expected - MESSAGES
        assert [text for text in seen if text.startswith("page")] == [f"page m{i}" for i in range(said)]
        assert await page.evaluate("told") == []
        assert proxy.cuts >= SECONDS / 5 - 1
        history = await publisher.chat(session).history(expected + 10)
        assert [f"{event.payload['sender']} {event.payload['content']}" for event in history] == seen
        await browser.close()


@pytest.mark.promise("P-CLIENT-2", "P-SEND-2")
async def test_what_an_edge_stored_before_it_died_is_not_said_again(chromium: Path, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(RunningMesh(tmp_path / "mesh"))
        first, second = [
            await stack.enter_async_context(edge_command(mesh.nats_url, folder=tmp_path / "mesh")) for _ in range(2)
        ]
        proxy = await stack.enter_async_context(CuttingProxy(mesh.port).running())
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page(bypass_csp=True)
        page.set_default_timeout(30_000)
        await page.goto(f"{proxy.url}/sdk/mesh.js")
        await page.evaluate("import('/sdk/mesh.js').then(() => import('/sdk/sse.js')).then(() => null)")
        proxy.port = first.port
        await stack.enter_async_context(explained(page, first, second))
        await follow(page, "chat_died", "ws")
        reader = await stack.enter_async_context(Mesh.connect(mesh.nats_url))
        proxy.answers.clear()  # the edge stores it, and its answer never arrives
        await page.evaluate("void say('chat.died.message')")
        await page.evaluate("void say('chat.died.message')")
        stored = await eventually(lambda: reader.chat("died").history(10))
        assert await page.evaluate("acknowledged.length") == 0
        await first.end(signal.SIGKILL)
        proxy.port = second.port
        proxy.cut()
        proxy.answers.set()
        await page.wait_for_function("acknowledged.length === 2 && seen.length >= 2")
        assert await page.evaluate("seen") == ["page m0", "page m1"]
        acks = await page.evaluate("acknowledged")
        assert [ack["duplicate"] for ack in acks] == [True, False]
        assert acks[0]["cursor"] == stored[0].cursor
        history = await reader.chat("died").history(10)
        assert [event.payload["content"] for event in history] == ["m0", "m1"]
        assert await page.evaluate("told") == []
        await browser.close()
