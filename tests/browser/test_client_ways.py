"""The JavaScript client in a real Chromium, by other ways than one WebSocket for one topic."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path

import pytest
from playwright.async_api import Error, Page, async_playwright

from daena_mesh import Mesh
from tests.support.bare_chromium import bare_chromium, until
from tests.support.cutting_proxy import CuttingProxy
from tests.support.deadlines import eventually, within
from tests.support.running_mesh import RunningMesh
from tests.support.windows import BLANK

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

MESSAGES = 100
TOPICS = ("one", "two", "three")

FOLLOW_MANY = """
(topics) => import("/sdk/mesh.js").then(({ open }) => {
  Math.random = () => 0.02; // short waits: how they grow is tested elsewhere
  globalThis.mesh = open();
  globalThis.seen = {};
  globalThis.told = [];
  globalThis.followed = topics.flatMap((topic) => [1, 2].map((by) => {
    const following = mesh.follow(topic);
    seen[`${topic} ${by}`] = [];
    following.on("chat.message", ({ payload }) => seen[`${topic} ${by}`].push(payload.content));
    for (const type of ["gap", "error"]) following.on(type, (what) => told.push([type, what]));
    return following;
  }));
  mesh.on("error", (what) => told.push(["error", what]));
})
"""

ALL_CONNECTED = "followed.every(({ state }) => state.state === 'connected')"


@pytest.mark.promise("P-CLIENT-3", "P-RESUME-1")
async def test_many_topics_over_one_socket_lose_nothing(up: RunningMesh, proxy: CuttingProxy, page: Page) -> None:
    sessions = [f"{name}-{uuid.uuid4().hex[:8]}" for name in TOPICS]
    await page.goto(f"{proxy.url}{BLANK}")
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    await page.evaluate(FOLLOW_MANY, [f"chat_{session}" for session in sessions])
    await page.wait_for_function(ALL_CONNECTED)
    async with Mesh.connect(up.nats_url) as publisher, within(60):
        for number in range(MESSAGES):
            for session in sessions:
                await publisher.chat(session).send(f"m{number}", sender="scout")
            if number % 20 == 10:
                await eventually(lambda: len(sockets) > proxy.cuts)  # the page has noticed the cut before
                await page.wait_for_function(ALL_CONNECTED)
                proxy.cut()
    await page.wait_for_function(f"Object.values(seen).every((each) => each.length >= {MESSAGES})")
    said = [f"m{number}" for number in range(MESSAGES)]
    assert await page.evaluate("seen") == {f"chat_{session} {by}": said for session in sessions for by in (1, 2)}
    assert await page.evaluate("told") == []
    assert proxy.cuts == len(sockets) - 1 == MESSAGES // 20
    assert {url.partition("/ws")[2] for url in sockets} == {""}


FOLLOW_BLOCKED = """
(topic) => import("/sdk/mesh.js").then(({ connect }) => {
  Math.random = () => 0.02;
  globalThis.connection = connect(topic);
  globalThis.seen = [];
  globalThis.told = [];
  connection.on("chat.message", ({ payload }) => seen.push(payload.content));
  for (const type of ["gap", "error"]) connection.on(type, (what) => told.push([type, what]));
})
"""


@pytest.mark.promise("P-CLIENT-4", "P-SSE-1")
async def test_where_websockets_are_blocked_it_goes_on_by_server_sent_events(up: RunningMesh, page: Page) -> None:
    proxy = CuttingProxy(up.port, blocks_websockets=True)
    async with proxy.running(), Mesh.connect(up.nats_url) as publisher:
        await page.goto(f"{proxy.url}{BLANK}")
        await page.evaluate(FOLLOW_BLOCKED, "chat_blocked")
        await page.evaluate(
            "void (globalThis.sent = connection.send('chat.blocked.message', { content: 'from the page' }))"
        )
        await page.wait_for_function("connection.state.state === 'connected'")
        blocked = proxy.blocked
        assert blocked >= 2
        ack = await page.evaluate("sent")
        assert not ack["duplicate"]
        await page.wait_for_function("seen.length === 1")
        await publisher.chat("blocked").send("one", sender="scout")
        await page.wait_for_function("seen.length === 2")
        proxy.cut()
        await publisher.chat("blocked").send("two", sender="scout")
        await page.wait_for_function("seen.length >= 3")
        assert await page.evaluate("seen") == ["from the page", "one", "two"]
        assert await page.evaluate("told") == []
        assert proxy.blocked == blocked
        history = await publisher.chat("blocked").history(10)
        assert [event.payload["content"] for event in history] == ["from the page", "one", "two"]
        assert history[0].cursor == ack["cursor"]


@pytest.mark.promise("P-CLIENT-4")
async def test_many_topics_go_on_by_server_sent_events_too(up: RunningMesh, page: Page) -> None:
    sessions = [f"{name}-{uuid.uuid4().hex[:8]}" for name in ("four", "five")]
    proxy = CuttingProxy(up.port, blocks_websockets=True)
    async with proxy.running(), Mesh.connect(up.nats_url) as publisher:
        await page.goto(f"{proxy.url}{BLANK}")
        await page.evaluate(FOLLOW_MANY, [f"chat_{session}" for session in sessions])
        await page.wait_for_function(ALL_CONNECTED)
        for number in range(20):
            for session in sessions:
                await publisher.chat(session).send(f"m{number}", sender="scout")
            if number == 10:
                proxy.cut()
        await page.wait_for_function("Object.values(seen).every((each) => each.length >= 20)")
        said = [f"m{number}" for number in range(20)]
        assert await page.evaluate("seen") == {f"chat_{session} {by}": said for session in sessions for by in (1, 2)}
        assert await page.evaluate("told") == []


@pytest.mark.promise("P-CLIENT-4")
async def test_by_server_sent_events_one_topic_too_many_fails_alone(up: RunningMesh, page: Page) -> None:
    await page.goto(f"{up.url}{BLANK}")
    await page.evaluate(
        """
        async () => {
          const { open } = await import("/sdk/mesh.js");
          const { SseSocket } = await import("/sdk/sse.js");
          globalThis.mesh = open({ WebSocket: SseSocket });
          globalThis.followed = [1, 2, 3, 4, 5].map((number) => mesh.follow(`chat_bound${number}`));
        }
        """
    )
    await page.wait_for_function("followed.slice(0, 4).every(({ state }) => state.state === 'connected')")
    assert await page.evaluate("followed[4].state.state") == "failed"
    await page.evaluate("mesh.send('chat.bound1.message', { content: 'there is a connection left' })")
    await page.evaluate("followed[0].close()")
    await page.evaluate("followed[4].close()")
    await page.evaluate("void (globalThis.later = mesh.follow('chat_bound5'))")
    await page.wait_for_function("later.state.state === 'connected'")
    assert await page.evaluate("mesh.state.state") == "connected"


async def test_a_server_that_is_away_is_not_taken_for_a_blocked_websocket(
    up: RunningMesh, proxy: CuttingProxy, page: Page
) -> None:
    await page.goto(f"{proxy.url}{BLANK}")
    await page.evaluate("Promise.all(['mesh', 'sse'].map((name) => import(`/sdk/${name}.js`))).then(() => null)")
    requests: list[str] = []
    proxy.port = 9  # nobody listens there
    proxy.cut()
    page.on("request", lambda request: requests.append(request.url))
    await page.evaluate(FOLLOW_BLOCKED, "chat_away")
    await page.evaluate(
        "new Promise((resolve) => { let left = 5; connection.on('state', () => --left || resolve()); })"
    )
    proxy.port = up.port
    await page.wait_for_function("connection.state.state === 'connected'")
    assert [url for url in requests if "/sse/" in url] == []


IN_WORKER = """
(topic) => {
  const script = `
    import("${location.origin}/sdk/mesh.js").then(({ connect }) => {
      const connection = connect("${topic}", { base: "${location.origin}/" });
      connection.on("chat.message", ({ payload }) => postMessage(payload.content));
      connection.on("state", ({ state }) => postMessage(state));
      onmessage = ({ data }) =>
        connection.send("chat.worked.message", { content: data }).then(() => postMessage("stored"));
    });`;
  globalThis.heard = [];
  globalThis.worker = new Worker(URL.createObjectURL(new Blob([script])));
  worker.onmessage = ({ data }) => heard.push(data);
}
"""


async def test_a_worker_follows_and_sends(proxy: CuttingProxy, page: Page) -> None:
    await page.goto(f"{proxy.url}{BLANK}")
    await page.evaluate(IN_WORKER, "chat_worked")
    await page.wait_for_function("heard.at(-1) === 'connected'")
    proxy.cut()
    await page.evaluate("worker.postMessage('from a worker')")
    await page.wait_for_function("heard.includes('stored') && heard.includes('from a worker')")
    heard = await page.evaluate("heard")
    assert heard.count("from a worker") == 1
    assert "recovering" in heard


FOLLOW_SHARED = FOLLOW_BLOCKED.replace("connect(topic)", "open({ WebSocket: TabSocket }).follow(topic)").replace(
    'import("/sdk/mesh.js").then(({ connect })',
    'Promise.all([import("/sdk/mesh.js"), import("/sdk/tabs.js")]).then(([{ open }, { TabSocket }])',
)


@pytest.mark.parametrize("follow", [FOLLOW_BLOCKED, FOLLOW_SHARED], ids=["alone", "shared"])
async def test_a_page_that_comes_back_from_the_cache_resumes_at_once(
    follow: str, up: RunningMesh, chromium: Path, tmp_path: Path
) -> None:
    session = f"back-{uuid.uuid4().hex[:8]}"
    async with (
        async_playwright() as playwright,
        bare_chromium(playwright, chromium, tmp_path) as context,  # Playwright's own has no such cache
        Mesh.connect(up.nats_url) as publisher,
    ):
        page = await context.new_page()
        client = await context.new_cdp_session(page)
        await client.send("Page.setBypassCSP", {"enabled": True})
        await page.goto(f"{up.url}/sdk/mesh.js")
        await page.evaluate(follow, f"chat_{session}")
        await page.evaluate("void addEventListener('pageshow', ({ persisted }) => (globalThis.persisted = persisted))")
        await until(page, "connection.state.state === 'connected'")
        await publisher.chat(session).send("one", sender="scout")
        await until(page, "seen.length === 1")
        await page.goto(f"{up.url}/sdk/sse.js")
        await publisher.chat(session).send("two", sender="scout")
        await page.evaluate("void setTimeout(() => history.back())")

        async def is_back() -> bool:
            with contextlib.suppress(Error):  # where it is just going
                return bool(await page.evaluate("globalThis.seen?.length === 2"))
            return False

        await eventually(is_back, within_s=30)
        assert await page.evaluate("[persisted, seen, told]") == [True, ["one", "two"], []]
