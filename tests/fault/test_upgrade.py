"""The version that was released last and this one, side by side on one mesh, as in a rolling upgrade."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from tests.support.deadlines import within
from tests.support.edge_command import EdgeCommand, edge_command
from tests.support.front import api_command
from tests.support.tracked import ROOT
from tests.support.ws_client import Ledger

pytestmark = pytest.mark.timeout(180)

RELEASED = "79c47dbf954a583fdd012e29d66ea25e2be0a380"
"""v0.1.0: the commit, since not every clone has the tag."""
_PACKAGES = ("shared/events", "services/api", "services/ws_edge", "services/brain", "services/cli")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The PYTHONPATH of that version's code, in a worktree of its own."""
    folder = tmp_path_factory.mktemp("released") / "mesh"
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(folder), RELEASED], check=True)
    try:
        path = os.pathsep.join(str(folder / package) for package in _PACKAGES)
        where = "import mesh_edge.edge, daena_mesh.log; print(mesh_edge.edge.__file__, daena_mesh.log.__file__)"
        environment = {**os.environ, "PYTHONPATH": path}
        told = subprocess.run(
            [sys.executable, "-c", where], env=environment, check=True, capture_output=True, text=True
        )
        assert all(file.startswith(str(folder)) for file in told.stdout.split())
        yield path
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


class Fleet(NamedTuple):
    """Processes of one mesh."""

    api: str
    old: EdgeCommand
    new: EdgeCommand


@asynccontextmanager
async def fleet(
    nats: NatsServer, released: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, old_api: bool
) -> AsyncIterator[Fleet]:
    """An edge of each version, and an API of one of them."""
    async with AsyncExitStack() as stack:

        async def start_old() -> tuple[EdgeCommand, str]:
            with monkeypatch.context() as patch:
                patch.setenv("PYTHONPATH", released)
                api = await stack.enter_async_context(api_command(nats.url)) if old_api else ""
                (folder / "old").mkdir()
                return await stack.enter_async_context(edge_command(nats.url, folder=folder / "old")), api

        if old_api:
            old, api = await start_old()
        else:  # its streams are there before anybody of the old version comes
            api = await stack.enter_async_context(api_command(nats.url))
            old, _ = await start_old()
        (folder / "new").mkdir()
        new = await stack.enter_async_context(edge_command(nats.url, folder=folder / "new"))
        yield Fleet(api, old, new)


async def say(http: httpx.AsyncClient, text: str) -> None:
    """By REST, in the one session."""
    body = {"message": text, "session_id": "s1", "sender": "ada"}
    (await http.post("/api/v1/daena/chat", json=body)).raise_for_status()


@pytest.mark.parametrize("old_api", [False, True], ids=["todays API", "the released API"])
async def test_clients_move_between_the_versions_and_miss_nothing(
    nats_server: NatsServer, released: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, old_api: bool
) -> None:
    """From the released edge to today's and back, as an edge is stopped and another started."""
    async with (
        fleet(nats_server, released, tmp_path, monkeypatch, old_api=old_api) as mesh,
        httpx.AsyncClient(base_url=mesh.api) as http,
        within(120),
    ):
        ledger, said = Ledger(), 0
        for edge in (mesh.old, mesh.new, mesh.old, mesh.new):
            async with edge.connect("/ws/chat/s1", ledger=ledger) as client:
                for _ in range(5):
                    await say(http, str(said))
                    said += 1
                while len(ledger.contents()) < said:
                    await client.frame()
            for _ in range(5):  # while nobody looks
                await say(http, str(said))
                said += 1
        assert ledger.contents() == [str(number) for number in range(said - 5)]


async def test_the_released_edge_shows_what_only_this_version_can_send(
    nats_server: NatsServer, released: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a client sends by its socket, and an agent piece by piece: formats carry what both need."""
    async with fleet(nats_server, released, tmp_path, monkeypatch, old_api=False) as mesh, within(120):
        async with mesh.old.connect("/ws/chat/s2") as ada, mesh.new.connect("/ws/chat/s2?who=bob") as bob:
            payload = {"sender": "bob", "content": "from bob"}
            message = {"type": "send", "id": "m-bob", "subject": "chat.s2.message", "payload": payload}
            await bob.ws.send(json.dumps(message))
            async with (
                Mesh.connect(nats_server.url) as sdk,
                sdk.agent("scout"),
                sdk.chat("s2").stream("scout") as out,
            ):
                for word in ("from ", "scout"):
                    await out.write(word)
            for client in (ada, bob):
                while len(client.ledger.contents()) < 2:
                    await client.frame()
                assert client.ledger.contents() == ["from bob", "from scout"]
                deltas = [event for event in client.ledger.events if event["event_type"] == "chat.delta"]
                assert "".join(delta["payload"]["text"] for delta in deltas) == "from scout"
        assert await mesh.old.end(signal.SIGTERM) == 0
