"""What strangers write, in every room of the page: in a real Chromium none of it runs, loads or leads anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import quote, urlsplit

import httpx
import pytest
from playwright.async_api import Browser, Page, Request
from websockets.asyncio.client import connect

from daena_mesh.mesh import Mesh
from daena_mesh.settings import MeshSettings
from tests.support.running_mesh import RunningMesh
from tests.support.windows import window

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

MARK = "markofthestranger"
VECTORS = [
    "<img src=x onerror=pwned()>",
    "<script>pwned()</script>",
    "<svg/onload=pwned()>",
    '"><iframe srcdoc="<script>parent.pwned()</script>">',
    "' autofocus onfocus=pwned() x='",
    "<a href='javascript:pwned()'>here</a>",
    "[here](javascript:pwned()) [there](data:text/html,<script>pwned()</script>)",
    "![seen](https://evil.invalid/seen.png) <img src=https://evil.invalid/seen.png>",
    "</textarea></title></style><script>pwned()</script>",
    "${pwned()} {{constructor.constructor('pwned()')()}} `pwned()`",
    "\x1b[2J\x1b]0;owned\x07\u202e\u2066 \r\n data: forged",
]
WHO = "<img src=x onerror=pwned()>"
ROOMS = ["chat/hostile", "activity", "agents", "agents/evil", "tasks", "council", "council/c0", "brain", "mesh"]
SHOWS = {"chat/hostile", "activity", "agents", "tasks", "council", "brain"}
"""Where what was written is to be seen: as text."""

LEADS_ASTRAY = """() => [...document.querySelectorAll("*")].flatMap((element) => [
  ...(["SCRIPT", "IFRAME", "OBJECT", "EMBED", "BASE"].includes(element.tagName) && document.body.contains(element)
    ? [element.outerHTML] : []),
  ...[...element.attributes].filter(({ name, value }) => /^on/i.test(name) || /evil\\.invalid/.test(value) &&
    ["src", "srcset", "href", "style", "poster", "action"].includes(name) && element.tagName !== "A" ||
    /^\\s*(javascript|data|vbscript):/i.test(value) && ["href", "src", "action", "formaction"].includes(name) &&
    !value.startsWith("data:image/svg+xml"))
    .map(({ name, value }) => `${element.tagName} ${name}=${value}`),
])"""


@asynccontextmanager
async def strangers(up: RunningMesh) -> AsyncIterator[None]:
    """Have all of it written, in every place where a text may be; who is present stays so for the block."""
    async with (
        AsyncExitStack() as stack,
        Mesh(MeshSettings(nats_url=up.nats_url), name="strangers") as sdk,
        httpx.AsyncClient(base_url=up.url) as web,
    ):
        evil = await stack.enter_async_context(sdk.agent("evil", description=f"{MARK} {VECTORS[0]}"))
        await stack.enter_async_context(connect(f"ws://127.0.0.1:{up.port}/ws/chat/hostile?who={quote(WHO)}"))
        for number, vector in enumerate(VECTORS):
            text = f"{MARK} {vector}"
            made = await web.post("/api/v1/chat-history/sessions", json={"title": text, "category": text})
            assert made.status_code == 200, made.text
            said = {"message": text, "session_id": "hostile", "sender": text[:60], "metadata": {text[:60]: text}}
            assert (await web.post("/api/v1/daena/chat", json=said)).status_code == 200
            await evil.activity(text, query=text, **{f"key{number}": {text: [text]}})
            task = {
                "task_id": f"t{number}",
                "status": "running",
                "progress": {"message": text, "title": text, "done": 1},
            }
            await sdk.publish(f"task.t{number}.update", {**task, "agent_id": "evil", "title": text})
            await sdk.publish(
                f"council.c{number}.update", {"council_id": f"c{number}", "update": {text: text, "title": text}}
            )
            await sdk.brain(f"b{number}").report({"model": text, "state": text, text: text})
            await sdk.publish("agent.other.activity", {"agent_id": "other", "activity": {"state": text}})
            await sdk.publish("system.all.notice", {"text": text, "level": text})
        yield


async def test_in_no_room_does_anything_run_that_a_stranger_wrote(browser: Browser, up: RunningMesh) -> None:
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    async with strangers(up), window(browser, up.url) as page:
        page.on("request", note)
        await page.evaluate("() => { window.ran = 0; window.pwned = () => { window.ran += 1; }; }")
        title = await page.title()
        for room in ROOMS:
            await look_into(page, room)
            assert await page.evaluate("() => window.ran") == 0, room
            assert await page.evaluate(LEADS_ASTRAY) == [], room
        assert "owned" not in await page.title()
        assert title
        assert page.url.startswith(up.url)
    assert {urlsplit(url).hostname for url in asked if urlsplit(url).scheme.startswith(("http", "ws"))} <= {"127.0.0.1"}


async def look_into(page: Page, room: str) -> None:
    """Go there, wait for what strangers wrote where it is to be seen, and open all that opens."""
    await page.evaluate("(hash) => { location.hash = hash; }", f"#/{room}")
    if room in SHOWS:
        await page.wait_for_function("(mark) => document.body.innerText.includes(mark)", arg=MARK, timeout=60_000)
    await page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    for _ in range(3):  # of what comes after the next painting, too
        await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
    await asyncio.sleep(0)
