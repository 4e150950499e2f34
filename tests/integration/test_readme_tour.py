"""The tour of the README as a reader takes it: its commands are typed, its snippets pasted, its answers compared."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import doctest
import json
import os
import re
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import msgspec
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from tests.support.chromium import FLAGS
from tests.support.deadlines import eventually, within
from tests.support.markdown import Block, blocks
from tests.support.real_parties import chromium_path, find, nats_cli_path, skip
from tests.support.running_mesh import RunningMesh
from tests.support.story import Teller, printed, told_alike, typed_in
from tests.support.tracked import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = list(blocks(README))
ORIGIN = "http://127.0.0.1:8000"

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


def snippets(language: str, word: str) -> Iterator[Block]:
    """Give the blocks of a language that have a word in them; there is at least one."""
    found = [block for block in BLOCKS if block.language == language and word in block.code]
    assert found, f"the README shows no {language} with {word!r}"
    yield from found


class Tour:
    """A running mesh, and a folder that looks like the reader's."""

    def __init__(self, mesh: RunningMesh, folder: Path) -> None:
        self.mesh = mesh
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MESH_")},
            "NATS_URL": mesh.nats_url,
            "MESH_NATS_URL": mesh.nats_url,
            "PYTHONWARNINGS": "error",
        }

    def here(self, text: str) -> str:
        """Give a command of the README with the addresses of this mesh."""
        return text.replace(ORIGIN, self.mesh.url)

    async def type(self, command: str, typed: str = "") -> str:
        """Type a command of the README, and give what comes back."""
        return await printed(self.here(command), self.folder, self.environment, typed)

    def start(self, command: str) -> Teller:
        """Start a command that goes on."""
        return Teller(self.here(command), self.folder, self.environment)

    async def say(self, content: str) -> None:
        """Say something in the session of the tour, as the page does."""
        body = json.dumps({"session_id": "tour", "message": content}).encode()
        request = Request(f"{self.mesh.url}/api/v1/daena/chat", body, {"Content-Type": "application/json"})
        async with within():
            await asyncio.to_thread(lambda: urlopen(request, timeout=10).close())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tour(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tour]:
    """Give a mesh to the tour."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / ".venv").symlink_to(sys.prefix, target_is_directory=True)
    async with RunningMesh(folder) as mesh:
        yield Tour(mesh, folder)


def lines_missing(shown: str, told: str) -> list[str]:
    """Give the lines of the README that were not told, whatever was told beside them."""
    alike = set(told_alike(told).splitlines())
    return [line for line in told_alike(shown).splitlines() if line.strip() not in alike]


@pytest.mark.promise("P-NATIVE-1")
async def test_what_is_typed_answers_as_shown(tour: Tour) -> None:
    if find(["curl"]) is None:
        skip("install curl to run this test")
    tour.environment["PATH"] = f"{nats_cli_path().parent}{os.pathsep}{tour.environment['PATH']}"
    calls = [typed for block in BLOCKS if block.language == "console" for typed in typed_in(block)]
    watches = [call for call in calls if call.command.startswith(("nats sub", ".venv/bin/mesh tail"))]
    assert len(watches) == 2
    subscribe, tail = watches
    async with tour.start(subscribe.command) as nats, tour.start(tail.command) as mesh_tail:
        await eventually(lambda: told_alike(nats.told) == told_alike(subscribe.output))
        while "agent.warmup.activity" not in mesh_tail.told:
            await tour.type(".venv/bin/mesh emit agent.warmup.activity '{}'")
        for call in calls:
            if call not in watches:
                assert told_alike(await tour.type(call.command)) == told_alike(call.output), call.command
        await eventually(lambda: lines_missing(tail.output, mesh_tail.told) == [])
        (received,) = snippets("text", "Received on")
        await eventually(lambda: lines_missing(received.code, nats.told) == [])


async def test_the_emitter_answers_as_shown_in_pythons_own_prompt(tour: Tour) -> None:
    (block,) = snippets("pycon", "emit_chat_message")
    examples = doctest.DocTestParser().get_examples(block.code)
    told = await tour.type(".venv/bin/python -m asyncio", "".join(example.source for example in examples))
    assert told_alike(examples[-1].want) in told_alike(told)


async def test_the_agent_answers_also_after_the_mesh_was_started_again(tour: Tour) -> None:
    (block,) = snippets("python", "chat.listen()")
    main = next(node for node in ast.parse(block.code).body if isinstance(node, ast.AsyncFunctionDef))
    assert (main.end_lineno or 0) - main.lineno < 10, "an agent of ten lines"
    (tour.folder / "agent.py").write_text(block.code)
    (command,) = re.findall(r"`(\.venv/bin/python agent\.py)`", README)

    async def talk() -> None:
        """Ask until it answers, and tells that it does: neither it nor who watches may listen yet."""
        for said in map(str, range(100)):
            await tour.say(said)
            shown = ("agent.scout.activity", f"scout: You said: {said}  ")
            with contextlib.suppress(AssertionError):
                await eventually(lambda: all(words in tail.told for words in shown), within_s=1)  # noqa: B023
                return

    async with tour.start(f"{command} 2>&1") as agent, tour.start(".venv/bin/mesh tail") as tail:
        async with within(40):
            await talk()
        tail.told = ""
        await tour.mesh.stop()
        await tour.mesh.start()
        async with within(40):
            await talk()
        assert "Traceback" not in agent.told


async def test_what_is_pasted_into_the_page_hears_what_is_said(tour: Tour) -> None:
    from playwright.async_api import async_playwright

    pasted = [block.code for block in snippets("javascript", "console.log")]
    ready = {
        "new WebSocket": "await new Promise((resolve) => { ws.onopen = resolve; });",
        "connect(": "await new Promise((go) => chat.on('state', ({ state }) => state === 'connected' && go()));",
    }
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        try:
            page = await browser.new_page()
            await page.goto(tour.mesh.url)
            heard: list[str] = []
            page.on("console", lambda message: heard.append(message.text))
            for number, code in enumerate(pasted, 1):
                (until,) = [script for word, script in ready.items() if word in code]
                await page.evaluate(f"async () => {{ {code}\n{until} }}")
                await tour.say(f"to {number}")
                await eventually(lambda: heard.count(f"user to {number}") == number)  # noqa: B023 - awaited right here
        finally:
            await browser.close()


@pytest.mark.promise("P-ROUTER-1")
async def test_an_application_of_ones_own_serves_the_four_routes(tour: Tour) -> None:
    (block,) = snippets("python", "websocket_router")
    (tour.folder / "main.py").write_text(block.code)
    (command,) = [block.code.strip() for block in snippets("sh", "uvicorn")]
    async with tour.start(command.replace("--port 8080", "--port 0")) as uvicorn:
        running = re.compile(r"Uvicorn running on http://(127\.0\.0\.1:\d+)")
        await eventually(lambda: running.search(uvicorn.told))
        host = running.findall(uvicorn.told)[0]
        for path in ("/ws/events", "/ws/council", "/ws/agent/scout", "/ws/chat/tour"):
            # The client offers compression, as browsers do and uvicorn accepts by default.
            async with within(), connect(f"ws://{host}{path}") as socket:
                assert msgspec.json.decode(await socket.recv())["payload"]["recovered"] is True
                await socket.send('{"type":"ping","timestamp":7}')
                assert msgspec.json.decode(await socket.recv()) == {"event_type": "pong", "timestamp": 7}
        async with within(), connect(f"ws://{host}/ws/chat/tour") as socket:
            await socket.recv()
            await tour.say("to the application")
            assert msgspec.json.decode(await socket.recv())["payload"]["content"] == "to the application"


async def test_the_wheel_is_called_as_shown() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    (block,) = snippets("sh", "pip install")
    assert f"dist/daena_mesh-{version}-py3-none-any.whl" in block.code
