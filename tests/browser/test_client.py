"""The JavaScript client in a real Chromium, over a network that is cut again and again."""

from __future__ import annotations

import random
import uuid

import pytest
from playwright.async_api import Page

from daena_mesh import Mesh
from tests.support.cutting_proxy import CuttingProxy
from tests.support.deadlines import eventually, within
from tests.support.running_mesh import RunningMesh
from tests.support.windows import BLANK

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

MESSAGES = 2_000
CUTS = 10
CAME_BACK = (
    "told.filter((what, i) => what === 'connected' && told[i - 1] !== what).length > {}"
    " && connection.state.state === 'connected'"
)
"""Whether it is connected again after so many cuts: it takes a moment to notice one, and then has nothing to cut."""

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


@pytest.mark.promise("P-RESUME-1", "P-ORDER-1")
async def test_nothing_is_lost_doubled_or_out_of_order(up: RunningMesh, proxy: CuttingProxy, page: Page) -> None:
    session = f"s-{uuid.uuid4().hex[:8]}"
    chance = random.Random(session)
    cut_after = sorted(chance.sample(range(1, MESSAGES), CUTS))
    await page.goto(f"{proxy.url}{BLANK}")
    await page.evaluate(FOLLOW, [f"chat_{session}"])
    async with Mesh.connect(up.nats_url) as publisher, within(60):
        chat = publisher.chat(session)
        for number in range(MESSAGES):
            await chat.send(f"m{number}", sender="scout")
            if number in cut_after:
                # Cut where there is something to cut: the client needs a moment to come back.
                await page.wait_for_function("connection.state.state === 'connected'")
                await eventually(proxy.cut)  # it may not have noticed the cut before
    await page.wait_for_function(f"seen.length >= {MESSAGES}", timeout=30_000)
    assert proxy.cuts == CUTS
    assert await page.evaluate("seen") == [f"m{number}" for number in range(MESSAGES)]
    told = await page.evaluate("told")
    assert told.count("recovering") >= CUTS
    assert [what for what in told if isinstance(what, list)] == []


SEND = """
([subject, count]) => {
  globalThis.acknowledged = [];
  globalThis.refused = [];
  for (let number = 0; number < count; number += 1) {
    connection.send(subject, { sender: "page", content: `m${number}` }).then(
      (ack) => acknowledged.push(ack),
      (error) => refused.push(error.code),
    );
  }
}
"""


@pytest.mark.promise("P-SEND-2", "P-CLIENT-2")
async def test_what_a_page_sends_is_said_once_and_in_order_over_cuts(
    up: RunningMesh, proxy: CuttingProxy, page: Page
) -> None:
    count = 200
    await page.goto(f"{proxy.url}{BLANK}")
    await page.evaluate(FOLLOW, ["chat_sent"])
    await page.evaluate(SEND, ["chat.sent.message", count])
    for due in range(5, count, 30):
        await page.wait_for_function(f"acknowledged.length >= {due} && {CAME_BACK.format(proxy.cuts)}")
        proxy.cut()
    said = [f"m{number}" for number in range(count)]
    await page.wait_for_function(f"acknowledged.length >= {count} && seen.length >= {count}", timeout=60_000)
    assert await page.evaluate("seen") == said
    assert await page.evaluate("refused") == []
    assert proxy.cuts >= 5
    async with Mesh.connect(up.nats_url) as reader:
        history = await reader.chat("sent").history(2 * count)
    assert [event.payload["content"] for event in history] == said
    cursors = [event.cursor for event in history]
    assert [ack["cursor"] for ack in await page.evaluate("acknowledged")] == cursors


@pytest.mark.promise("P-CLIENT-2")
async def test_what_is_typed_while_offline_is_sent_once_when_the_network_is_back(up: RunningMesh, page: Page) -> None:
    await page.goto(f"{up.url}{BLANK}")
    await page.evaluate(FOLLOW, ["chat_offline"])
    await page.context.set_offline(offline=True)
    await page.wait_for_function("connection.state.state === 'recovering'")
    await page.evaluate(SEND, ["chat.offline.message", 3])
    assert await page.evaluate("connection.waiting") == 3
    await page.context.set_offline(offline=False)
    await page.wait_for_function("acknowledged.length === 3 && seen.length === 3", timeout=30_000)
    async with Mesh.connect(up.nats_url) as reader:
        history = await reader.chat("offline").history(10)
    assert [event.payload["content"] for event in history] == ["m0", "m1", "m2"]


REMEMBER = """
() => import("/sdk/mesh.js").then(({ connect }) => {
  globalThis.seen = [];
  globalThis.connection = connect("chat_reloaded", { storage: sessionStorage, history: 10 });
  connection.on("chat.message", ({ payload }) => seen.push(payload.content));
})
"""


@pytest.mark.promise("P-RESUME-1")
async def test_a_page_that_keeps_its_positions_resumes_after_a_reload(up: RunningMesh, page: Page) -> None:
    await page.goto(f"{up.url}{BLANK}")
    async with Mesh.connect(up.nats_url) as publisher:
        await publisher.chat("reloaded").send("before", sender="scout")
        await page.evaluate(REMEMBER)
        await page.wait_for_function("seen.length === 1")
        await page.reload()
        await publisher.chat("reloaded").send("meanwhile", sender="scout")
        await page.evaluate(REMEMBER)
        await page.wait_for_function("seen.length >= 1 && connection.state.state === 'connected'")
        assert await page.evaluate("seen") == ["meanwhile"]
