"""The JavaScript client in a real Chromium, with tokens that live for seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from daena_mesh import Mesh
from tests.support.deadlines import within
from tests.support.running_mesh import RunningMesh
from tests.support.tokens import KEY, token

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
    pytest.mark.promise("P-CLIENT-7"),
]

LIFE_S = 6
RENEWALS = 3


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningMesh]:
    async with RunningMesh(tmp_path_factory.mktemp("mesh"), MESH_TOKEN_KEY=KEY) as mesh:
        yield mesh


def fresh() -> str:
    return token(">", write=[">"], lives_s=LIFE_S)


@asynccontextmanager
async def page_of(browser: Browser, url: str) -> AsyncIterator[Page]:
    context = await browser.new_context(bypass_csp=True)  # Playwright waits by evaluating strings
    page = await context.new_page()
    page.set_default_timeout(30_000)
    await page.goto(f"{url}/sdk/mesh.js")
    yield page
    await context.close()


FOLLOW = """
async ([session, how]) => {
  const { open } = await import("/sdk/mesh.js");
  const { SseSocket } = await import("/sdk/sse.js");
  globalThis.seen = [];
  globalThis.told = [];
  const options = how === "cookie" ? {} : { getToken: () => freshToken() };
  globalThis.mesh = open({ fallback: false, ...options, ...(how === "sse" && { WebSocket: SseSocket }) });
  globalThis.chat = mesh.follow(`chat_${session}`);
  chat.on("chat.message", ({ payload }) => seen.push(payload.content));
  for (const type of ["gap", "error"]) for (const of of [chat, mesh]) of.on(type, (what) => told.push([type, what]));
  await new Promise((resolve) => chat.on("state", ({ state }) => state === "connected" && resolve()));
  for (const of of [chat, mesh]) of.on("state", ({ state, reason }) => told.push([state, reason]));
}
"""


@pytest.mark.parametrize("how", ["ws", "sse"])
async def test_a_token_that_expires_is_renewed_without_a_break(browser: Browser, mesh: RunningMesh, how: str) -> None:
    given: list[str] = []
    sockets: list[str] = []

    def give() -> str:
        given.append(fresh())
        return given[-1]

    async with page_of(browser, mesh.url) as page, Mesh.connect(mesh.nats_url) as publisher:
        page.on("websocket", lambda socket: sockets.append(socket.url))
        await page.expose_function("freshToken", give)
        await page.evaluate(FOLLOW, [f"renewed-{how}", how])
        said: list[str] = []
        async with within(60):
            while len(given) <= RENEWALS:
                said.append(f"m{len(said)}")
                await publisher.chat(f"renewed-{how}").send(said[-1], sender="scout")
                await asyncio.sleep(0.05)
        # The first one has expired since, more than once.
        await page.evaluate(f"mesh.send('chat.renewed-{how}.message', {{ content: 'still here' }})")
        await page.wait_for_function(f"seen.length > {len(said)}")
        assert await page.evaluate("seen") == [*said, "still here"]
        assert [what for what in await page.evaluate("told") if what != ["connected", ""]] == []
        assert len(sockets) == (how == "ws")


async def test_a_cookie_that_was_renewed_elsewhere_counts_when_the_socket_is_closed(
    browser: Browser, mesh: RunningMesh
) -> None:
    async with page_of(browser, mesh.url) as page, Mesh.connect(mesh.nats_url) as publisher:

        async def log_in() -> None:
            cookie = {"name": "mesh_token", "value": fresh(), "url": mesh.url}
            await page.context.add_cookies([{**cookie, "httpOnly": True, "sameSite": "Strict"}])  # type: ignore[typeddict-item]

        await log_in()
        await page.evaluate(FOLLOW, ["cookie", "cookie"])
        first = time.monotonic()
        async with within(30):
            while not await page.evaluate("told.length"):
                if time.monotonic() - first > LIFE_S / 2:
                    first = time.monotonic()
                    await log_in()
                await asyncio.sleep(0.05)
        await publisher.chat("cookie").send("after it", sender="scout")
        await page.wait_for_function("seen.length === 1")
        states = [state for state, _ in await page.evaluate("told")]
        assert "recovering" in states
        assert states[-1] == "connected"
        assert "failed" not in states
        # Nobody renews it any more: it is refused for good.
        await page.context.clear_cookies()
        await page.wait_for_function("mesh.state.state === 'failed'")
