"""Front ends that know nothing of our client: a hook of React as many a page has it, and a plain `EventSource`."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from daena_mesh import Mesh
from tests.support.bundled import bundle, load
from tests.support.cutting_proxy import CuttingProxy
from tests.support.deadlines import within
from tests.support.running_mesh import RunningMesh

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

EVENT_SOURCE = """
globalThis.shown = [];
globalThis.source = new EventSource("/sse/chat/%s");
source.onmessage = ({ data }) => {
  const { event_type, payload } = JSON.parse(data);
  if (event_type === "chat.message") shown.push(payload.content);
};
"""
OPEN = "source.readyState === EventSource.OPEN"
PINGS = """
for (let i = 0; i < 30; i += 1) ws.onmessage(new MessageEvent("message", { data: '{"type":"ping"}' }));
"""


async def test_a_hook_that_comes_back_after_3_s_and_answers_pings(
    up: RunningMesh, proxy: CuttingProxy, page: Page, session: str
) -> None:
    async with Mesh.connect(up.nats_url) as writer, within(90):
        chat = writer.chat(session)
        await load(page, proxy.url, bundle("hook_page.jsx"), f"#{session}")
        said, greeted = page.locator(".chat-message"), page.locator(".connection")
        await expect(greeted).to_have_count(1)
        await chat.send("one", sender="bob")
        await expect(said).to_have_text(["one"])
        # What it takes for a server's ping it answers, and nobody minds.
        await page.evaluate(PINGS)
        await chat.send("two", sender="bob")
        await expect(said).to_have_text(["one", "two"])
        await expect(page.locator(".error")).to_have_count(0)
        proxy.cut()
        await expect(page.locator("output")).to_have_text("disconnected")
        await expect(page.locator("output")).to_have_text("connected")
        await expect(greeted).to_have_count(2)
        await chat.send("three", sender="bob")
        await expect(said).to_have_text(["one", "two", "three"])


@pytest.mark.promise("P-CLIENT-4")
async def test_a_plain_event_source_loses_nothing_over_cuts(
    up: RunningMesh, proxy: CuttingProxy, page: Page, session: str
) -> None:
    count = 120
    async with Mesh.connect(up.nats_url) as writer, within(90):
        await load(page, proxy.url, EVENT_SOURCE % session)
        await page.wait_for_function(OPEN)
        for i in range(count):
            await writer.chat(session).send(str(i), sender="bob")
            if i in {40, 80}:
                await page.wait_for_function(OPEN)
                assert proxy.cut() > 0
        await page.wait_for_function(f"shown.length >= {count}")
        assert await page.evaluate("shown") == [str(i) for i in range(count)]
        await page.evaluate("source.close()")
