"""The JavaScript client in a real Chromium, over a network that is cut again and again."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

from daena_mesh import Mesh
from tests.support.chromium import FLAGS
from tests.support.cutting_proxy import CuttingProxy
from tests.support.deadlines import within
from tests.support.running_mesh import RunningMesh

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

MESSAGES = 2_000
CUTS = 10

FOLLOW = """
async ([topic]) => {
  Math.random = () => 0.02; // short waits: how they grow is tested elsewhere
  const { connect } = await import("/sdk/mesh.js");
  globalThis.seen = [];
  globalThis.told = [];
  globalThis.connection = connect(topic);
  connection.on("chat.message", ({ payload }) => seen.push(payload.content));
  for (const type of ["gap", "error"]) connection.on(type, (what) => told.push([type, what]));
  connection.on("state", ({ state }) => told.push(state));
  await new Promise((resolve) => connection.on("state", ({ state }) => state === "connected" && resolve()));
}
"""


@pytest_asyncio.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[RunningMesh]:
    async with RunningMesh(tmp_path / "mesh") as mesh:
        yield mesh


@pytest.mark.promise("P-RESUME-1", "P-ORDER-1")
async def test_nothing_is_lost_doubled_or_out_of_order(mesh: RunningMesh, chromium: Path) -> None:
    session = f"s-{uuid.uuid4().hex[:8]}"
    chance = random.Random(session)
    cut_after = sorted(chance.sample(range(1, MESSAGES), CUTS))
    async with async_playwright() as playwright, CuttingProxy(mesh.port).running() as proxy:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page(bypass_csp=True)  # Playwright waits by evaluating strings
        await page.goto(proxy.url)
        await page.evaluate(FOLLOW, [f"chat_{session}"])
        async with Mesh.connect(mesh.nats_url) as publisher, within(60):
            chat = publisher.chat(session)
            for number in range(MESSAGES):
                await chat.send(f"m{number}", sender="scout")
                if number in cut_after:
                    # Cut where there is something to cut: the client needs a moment to come back.
                    await page.wait_for_function("connection.state.state === 'connected'")
                    proxy.cut()
        await page.wait_for_function(f"seen.length >= {MESSAGES}", timeout=30_000)
        assert proxy.cuts == CUTS
        assert await page.evaluate("seen") == [f"m{number}" for number in range(MESSAGES)]
        told = await page.evaluate("told")
        assert told.count("recovering") >= CUTS
        assert [what for what in told if isinstance(what, list)] == []
        await browser.close()


SEND = """
async ([topic, count]) => {
  const connected = () => new Promise((resolve) => {
    if (connection.state.state === "connected") return resolve();
    const off = connection.on("state", ({ state }) => state === "connected" && (off(), resolve()));
  });
  const subject = `${topic.replace("_", ".")}.message`;
  globalThis.acknowledged = [];
  for (let number = 0; number < count; number += 1) {
    while (acknowledged.length === number) {
      await connected();
      const sent = connection.send(subject, { sender: "page", content: `m${number}` }, { id: `id-${number}` });
      await sent.then((ack) => acknowledged.push(ack), (error) => told.push(error.code));
    }
  }
}
"""


@pytest.mark.promise("P-SEND-2")
async def test_what_a_page_sends_again_after_a_cut_is_said_once(mesh: RunningMesh, chromium: Path) -> None:
    count = 100
    async with async_playwright() as playwright, CuttingProxy(mesh.port).running() as proxy:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page(bypass_csp=True)
        await page.goto(proxy.url)
        await page.evaluate(FOLLOW, ["chat_sent"])
        sending = asyncio.create_task(page.evaluate(SEND, ["chat_sent", count]))
        for due in range(10, count, 15):
            await page.wait_for_function(f"acknowledged.length >= {due} && connection.state.state === 'connected'")
            proxy.cut()
        async with within(60):
            await sending
        said = [f"m{number}" for number in range(count)]
        await page.wait_for_function(f"seen.length >= {count}", timeout=30_000)
        assert await page.evaluate("seen") == said
        assert proxy.cuts >= 5
        told = await page.evaluate("told")
        assert {what for what in told if what not in {"connecting", "recovering", "connected"}} <= {"lost"}
        async with Mesh.connect(mesh.nats_url) as reader:
            history = await reader.chat("sent").history(2 * count)
        assert [event.payload["content"] for event in history] == said
        cursors = [event.cursor for event in history]
        assert [ack["cursor"] for ack in await page.evaluate("acknowledged")] == cursors
        await browser.close()
