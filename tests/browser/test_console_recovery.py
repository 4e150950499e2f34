"""An edge that is killed under an open chat: the page says so, for a moment, and nothing is lost or out of order."""

from __future__ import annotations

import json
import signal
import uuid
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import WebSocket, async_playwright, expect

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from tests.support.chromium import FLAGS
from tests.support.deadlines import within
from tests.support.nginx import behind_nginx
from tests.support.windows import live

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

AT_MOST_MS = 5_000
WATCH = """() => {
  const status = document.getElementById("status");
  window.states = [[status.dataset.state, performance.now()]];
  new MutationObserver(() => window.states.push([status.dataset.state, performance.now()]))
    .observe(status, { attributes: true, attributeFilter: ["data-state"] });
}"""


@pytest.mark.promise("P-PAGE-8")
async def test_recovering_is_shown_for_a_moment_and_nothing_is_lost(
    nginx: Path, shared_nats: NatsServer, chromium: Path, tmp_path: Path
) -> None:
    session = f"killed-{uuid.uuid4().hex[:8]}"
    edges: list[str] = []

    def note(socket: WebSocket) -> None:
        def received(frame: str | bytes) -> None:
            if edge := json.loads(frame).get("payload", {}).get("edge"):
                edges.append(edge)

        socket.on("framereceived", received)

    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(behind_nginx(nginx, shared_nats.url, tmp_path))
        publisher = await stack.enter_async_context(Mesh.connect(shared_nats.url))
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        stack.push_async_callback(browser.close)
        chat, said = publisher.chat(session), ["m0"]

        async def say(count: int) -> None:
            for _ in range(count):
                said.append(f"m{len(said)}")
                await chat.send(said[-1], sender="scout")

        await chat.send("m0", sender="scout")
        page = await browser.new_page()
        page.on("websocket", note)
        await page.goto(f"{mesh.url}/#/chat/{session}")
        await live(page)
        await expect(page.locator(".body")).to_have_text(said)
        await page.fill("#composer-text", "half a thou")
        await page.evaluate(WATCH)
        async with within(100):
            await say(5)
            await mesh.edges[edges[-1]].end(signal.SIGKILL)
            await say(20)
            await page.wait_for_selector("#status[data-state=connected]")
            await say(5)
            await expect(page.locator(".body")).to_have_text(said, timeout=60_000)
        states = await page.evaluate("window.states")
        assert [state for state, _ in states][1:] == ["recovering", "connected"]
        assert states[2][1] - states[1][1] < AT_MOST_MS
        assert len(set(edges)) == 2
        await expect(page.locator("#composer-text")).to_have_value("half a thou")
        await page.press("#composer-text", "Enter")
        await expect(page.locator(".mine.stored .body")).to_have_text(["half a thou"])
