"""The client of an edge in Python, while its edges are killed and its connections cut."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daena_mesh import Event, Gap
from daena_mesh.edge_client import EdgeClient, EdgeState, connect
from daena_mesh.edge_client import client as inside
from daena_mesh.edge_client.endings import Comeback
from daena_mesh.embedded import NatsServer
from daena_mesh.errors import EdgeRefused
from tests.support.cutting_proxy import CuttingProxy
from tests.support.deadlines import eventually, within
from tests.support.edge import edge_process, provisioned_mesh, running_edge
from tests.support.flood import flood
from tests.support.tokens import KEY, token


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """How waits grow is tested elsewhere."""
    monkeypatch.setattr(inside, "Comeback", lambda *, renews: Comeback(renews=renews, chance=lambda: 0.02))


async def contents(client: EdgeClient, count: int, found: list[Any]) -> list[Any]:
    """Add what comes to ``found``, until it has ``count``."""
    async for item in client:
        assert isinstance(item, Event), item
        found.append(item.payload["content"])
        if len(found) == count:
            return found
    raise AssertionError("it has ended")


@pytest.mark.promise("P-EDGECLIENT-1")
@pytest.mark.timeout(120)
async def test_2000_messages_while_connections_are_cut_and_edges_killed(nats_server: NatsServer) -> None:
    chance = random.Random(7)
    cuts, kills = chance.sample(range(2, 40), 12), (13, 27)
    states: list[EdgeState] = []
    found: list[Any] = []
    async with AsyncExitStack() as stack, within(100):
        mesh = await stack.enter_async_context(provisioned_mesh(nats_server.url))
        edges = [await stack.enter_async_context(edge_process(nats_server.url)) for _ in range(3)]
        proxy = await stack.enter_async_context(CuttingProxy(edges[0].port).running())
        async with connect(proxy.url, "chat_s1", on_state=states.append) as client:
            await eventually(lambda: client.state.name == "connected")
            reading = asyncio.create_task(contents(client, 2_000, found))
            for i in range(40):
                await flood(mesh, "chat.s1.message", range(50 * i, 50 * i + 50))
                if i in cuts:
                    proxy.cut()
                if i in kills:
                    dead = edges.pop(0)
                    proxy.port = edges[0].port
                    await dead.kill()
                await eventually(lambda i=i: len(found) >= 50 * i - 25, within_s=30)  # type: ignore[misc]
            assert await reading == list(range(2_000))
            since = client.since
        assert [state.name for state in states].count("recovering") > 12
        assert states[-1].name == "disconnected"
        # From where it was left another one goes on.
        await flood(mesh, "chat.s1.message", [2_000])
        async with connect(proxy.url, "chat_s1", since=since) as client:
            assert await contents(client, 1, []) == [2_000]


async def test_who_reads_slowly_loses_nothing(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inside, "_MOST_WAITING", 2)
    async with provisioned_mesh(nats_server.url) as mesh, running_edge(nats_server.url) as edge, within(60):
        async with connect(f"http://127.0.0.1:{edge.port}", "chat_s1") as client:
            await eventually(lambda: client.state.name == "connected")
            await flood(mesh, "chat.s1.message", range(3_000), pad_bytes=1_000)
            found: list[Any] = []
            for count in range(300, 3_001, 300):
                await contents(client, count, found)
                await eventually(lambda: client._items.full() or count > 2_700)  # noqa: B023
        assert found == list(range(3_000))


@pytest.mark.promise("P-EDGECLIENT-1")
async def test_a_position_of_none_is_told_as_a_gap(nats_server: NatsServer) -> None:
    async with (
        provisioned_mesh(nats_server.url) as mesh,
        running_edge(nats_server.url) as edge,
        within(30),
        connect(f"http://127.0.0.1:{edge.port}", "chat_s1", since="Rzzzzzz-3") as client,
    ):
        gap = await anext(client)
        assert isinstance(gap, Gap)
        assert (gap.before, gap.reason) == ("Rzzzzzz-3", "reset")
        await flood(mesh, "chat.s1.message", [1])
        assert await contents(client, 1, []) == [1]
        assert client.since.startswith(gap.after.partition("-")[0])


@pytest.mark.promise("P-EDGECLIENT-1")
async def test_a_client_outlives_its_tokens(nats_server: NatsServer) -> None:
    given: list[str] = []
    states: list[EdgeState] = []

    async def get() -> str:
        given.append(token("chat.s1.>", "session.s1.>", lives_s=3))
        return given[-1]

    async with (
        provisioned_mesh(nats_server.url) as mesh,
        running_edge(nats_server.url, token_key=KEY) as edge,
        within(60),
        connect(f"http://127.0.0.1:{edge.port}", "chat_s1", token=get, on_state=states.append) as client,
    ):
        await eventually(lambda: len(given) >= 4, within_s=30)
        await flood(mesh, "chat.s1.message", [1])
        assert await contents(client, 1, []) == [1]
        assert [state.name for state in states] == ["connecting", "connected"]


@pytest.mark.promise("P-EDGECLIENT-1")
async def test_what_is_refused_for_good_is_an_error(nats_server: NatsServer) -> None:
    async with (
        provisioned_mesh(nats_server.url),
        running_edge(nats_server.url, token_key=KEY) as edge,
        within(60),
    ):
        url = f"http://127.0.0.1:{edge.port}"
        for shown, code in ((None, 4401), (token("chat.s2.>"), 4403), (token("chat.s1.>", lives_s=-5), 4401)):
            async with connect(url, "chat_s1", token=shown) as client:
                with pytest.raises(EdgeRefused) as refused:
                    await anext(client)
                assert refused.value.code == code
                assert client.state.name == "failed"
        async with connect(f"{url}/elsewhere", "chat_s1") as client:
            with pytest.raises(EdgeRefused) as refused:
                await anext(client)
            assert refused.value.code == 4403


@pytest.mark.promise("P-EDGECLIENT-1")
async def test_an_edge_that_is_stopped_says_when_to_come_back(nats_server: NatsServer) -> None:
    states: list[EdgeState] = []
    async with (
        provisioned_mesh(nats_server.url) as mesh,
        edge_process(nats_server.url, drain_s=1) as first,
        edge_process(nats_server.url) as second,
        CuttingProxy(first.port).running() as proxy,
        within(60),
        connect(proxy.url, "chat_s1", on_state=states.append) as client,
    ):
        await eventually(lambda: client.state.name == "connected")
        proxy.port = second.port
        await first.terminate()
        await flood(mesh, "chat.s1.message", [1])
        assert await contents(client, 1, []) == [1]
        (wait,) = [state for state in states if state.retry_in_s is not None]
        assert wait.reason == "the edge restarts"


@pytest.mark.promise("P-EDGECLIENT-2")
async def test_mesh_tail_watches_an_edge(nats_server: NatsServer, tmp_path: Path) -> None:
    shown = tmp_path / "token"
    shown.write_text(token("chat.s1.>", "session.s1.>") + "\n")
    async with (
        provisioned_mesh(nats_server.url) as mesh,
        running_edge(nats_server.url, token_key=KEY) as edge,
        CuttingProxy(edge.port).running() as proxy,
        within(60),
    ):
        options = ("--edge", proxy.url, "--token-file", str(shown), "--json")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mesh_cli", "tail", "chat.s1.message", *options),
            env={**os.environ, "MESH_NATS_URL": "nats://127.0.0.1:1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            await eventually(edge.edge.manager.connections, within_s=30)
            await flood(mesh, "chat.s1.typing", [0])
            await flood(mesh, "chat.s1.message", [1])
            first = msgspec.json.decode(await process.stdout.readline())
            assert proxy.cut() > 0
            await flood(mesh, "chat.s1.message", [2])
            second = msgspec.json.decode(await process.stdout.readline())
            assert [first["payload"]["content"], second["payload"]["content"]] == [1, 2]
            assert b"the edge is away" in await process.stderr.readline()
        finally:
            process.send_signal(signal.SIGINT)
            await process.communicate()
        shown.write_text("nonsense")
        refused = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mesh_cli", "tail", *options[:2]),
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await refused.communicate()
        assert refused.returncode == 1
        assert b"Traceback" not in said
        assert said.startswith(b"mesh: ")
