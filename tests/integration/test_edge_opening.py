"""When a socket opens: not before its topic knows where it stands, so that nothing published after that is missed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from mesh_edge import lobby
from tests.support.deadlines import eventually, within
from tests.support.edge import RunningEdge, running_edge
from tests.support.proxy import NatsProxy
from tests.support.ws_client import RawClient, handshake

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def far_edge(nats: NatsServer) -> AsyncIterator[tuple[NatsProxy, RunningEdge]]:
    """Give an edge whose way to NATS a test may lengthen; topics without a socket are forgotten at once."""
    async with NatsProxy.running(nats.port) as proxy, running_edge(proxy.url, linger_s=0) as edge:
        yield proxy, edge


async def opens_and_hears(edge: RunningEdge, mesh: Mesh, session: str) -> None:
    """Open a raw connection, publish as soon as it is open, and read until that is shown."""
    client = await RawClient.connect(edge.port, f"/ws/chat/{session}")
    try:
        ack = await mesh.publish(f"chat.{session}.message", {"content": "right at the start"})
        async with within(5):
            shown = []
            while ack.cursor not in shown:
                shown += [frame.get("cursor") for frame in await client.frames()]
    finally:
        client.close()


@pytest.mark.promise("P-OPEN-1")
async def test_what_is_published_right_after_the_opening_is_shown(shared_nats: NatsServer, mesh: Mesh) -> None:
    async with far_edge(shared_nats) as (_, edge):
        for number in range(100):
            await opens_and_hears(edge, mesh, f"opening-{number}")


@pytest.mark.promise("P-OPEN-1")
async def test_so_it_is_when_nats_is_far_away(shared_nats: NatsServer, mesh: Mesh) -> None:
    async with far_edge(shared_nats) as (proxy, edge):
        proxy.delay_s = 0.02
        async with asyncio.TaskGroup() as tasks:
            for number in range(20):
                tasks.create_task(opens_and_hears(edge, mesh, f"far-{number}"))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(20):
                tasks.create_task(opens_and_hears(edge, mesh, "far-for-all"))


async def test_an_edge_whose_nats_does_not_answer_lets_in_and_says_so(
    shared_nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lobby, "OPENS_WITHIN_S", 0.1)
    async with far_edge(shared_nats) as (proxy, edge):
        proxy.freeze()
        async with edge.connect("/ws/chat/frozen") as client, edge.connect("/ws/chat/frozen") as another:
            for socket in (client, another):
                assert socket.hello["payload"]["status"] == "degraded"
                async with within(20):
                    while (await socket.next("connection", 20))["payload"]["status"] != "connected":
                        pass


async def test_who_leaves_while_it_waits_leaves_nothing_behind(
    shared_nats: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with far_edge(shared_nats) as (proxy, edge):
        proxy.delay_s = 0.1
        with caplog.at_level(logging.WARNING):
            writers = []
            for number in range(3):
                _, writer = await asyncio.open_connection("127.0.0.1", edge.port)
                writer.write(handshake(f"/ws/chat/left-{number}"))
                writers.append(writer)
            await eventually(lambda: len(list(edge.edge.topics())) == 3)
            for writer in writers:
                writer.transport.abort()
            await eventually(lambda: not list(edge.edge.topics()))
            assert not list(edge.edge.sockets())
            await eventually(lambda: not edge.server.server_state.connections)
        assert [record.getMessage() for record in caplog.records] == []


async def test_an_edge_that_is_being_stopped_lets_in_nobody_who_waits(shared_nats: NatsServer) -> None:
    async with far_edge(shared_nats) as (proxy, edge):
        proxy.delay_s = 0.1
        waiting = asyncio.create_task(edge.refusal("/ws/chat/draining"))
        await eventually(lambda: list(edge.edge.topics()))
        await edge.edge.drain()
        async with within():
            status, _ = await waiting
        assert status == 503
        await eventually(lambda: not list(edge.edge.topics()))
