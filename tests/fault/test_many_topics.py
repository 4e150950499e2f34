"""Many topics that are behind at once: after a restart of an edge, and after a reconnect to NATS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from daena_mesh.reader import Batch, StreamReader
from tests.support.deadlines import eventually, within
from tests.support.edge import RunningEdge, provisioned_mesh, running_edge
from tests.support.flood import flood
from tests.support.ws_client import Client, Ledger

TOPICS = 60
EVENTS = 5


@asynccontextmanager
async def counted(monkeypatch: pytest.MonkeyPatch, begins: asyncio.Event | None = None) -> AsyncIterator[list[str]]:
    """Give the patterns of which batches are read from now on in this process; none is before something ``begins``."""
    asked: list[str] = []
    batch = StreamReader.batch

    async def noted(self: StreamReader, stream: str, pattern: str, after: int, **bounds: int) -> Batch:
        asked.append(pattern)
        if begins is not None:
            await begins.wait()
        return await batch(self, stream, pattern, after, **bounds)

    with monkeypatch.context() as patch:
        patch.setattr(StreamReader, "batch", noted)
        yield asked


async def talk(mesh: Mesh, contents: range) -> None:
    """Say each content once in every chat, and what a session does beside it."""
    for content in contents:
        for i in range(TOPICS):
            mesh.connection.publish(f"chat.t{i}.message", b'{"content":%d}' % content)
        mesh.connection.publish(f"session.t{content % TOPICS}.updated", b'{"content":-1}')
        mesh.connection.publish(f"agent.t{content % TOPICS}.activity", b'{"content":-1}')
    await flood(mesh, "chat.others.message", [0])


def said(ledger: Ledger) -> list[int]:
    return [event["payload"]["content"] for event in ledger.events if event["subject"].startswith("chat.")]


async def follow(edge: RunningEdge, ledgers: list[Ledger]) -> list[Client]:
    async def enter(i: int) -> Client:
        return await edge.connect(f"/ws/chat/t{i}", ledger=ledgers[i]).__aenter__()

    return await asyncio.gather(*map(enter, range(len(ledgers))))


async def read_to(clients: list[Client], content: int) -> None:
    async def read(client: Client) -> None:
        while content not in said(client.ledger)[-1:]:
            await client.frame()

    async with within(30):
        await asyncio.gather(*map(read, clients))


async def leave(clients: list[Client]) -> None:
    await asyncio.gather(*(client.ws.close() for client in clients))


@pytest.mark.promise("P-RESUME-1")
async def test_an_edge_that_comes_back_reads_the_log_once_for_all_its_topics(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledgers = [Ledger() for _ in range(TOPICS)]
    async with provisioned_mesh(nats_server.url) as mesh, within(45):
        async with running_edge(nats_server.url) as edge:
            clients = await follow(edge, ledgers)
            await talk(mesh, range(EVENTS))
            await read_to(clients, EVENTS - 1)
            await leave(clients)
        await talk(mesh, range(EVENTS, 2 * EVENTS))
        all_came = asyncio.Event()  # where they come more slowly than they are served there are never many
        async with running_edge(nats_server.url) as edge, counted(monkeypatch, all_came) as asked:
            clients = await follow(edge, ledgers)
            all_came.set()
            await read_to(clients, 2 * EVENTS - 1)
            # A few came before there were many; each of those has three patterns.
            assert len(asked) < TOPICS
            await talk(mesh, range(2 * EVENTS, 3 * EVENTS))
            await read_to(clients, 3 * EVENTS - 1)
            await leave(clients)
    for ledger in ledgers:
        assert said(ledger) == list(range(3 * EVENTS))


@pytest.mark.promise("P-HEAL-1", "P-DOWN-3")
async def test_topics_that_were_cut_off_from_nats_are_healed_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledgers = [Ledger() for _ in range(TOPICS)]
    server = await NatsServer.start(tmp_path, port=0)
    port = server.port
    try:
        async with provisioned_mesh(server.url) as mesh, running_edge(server.url) as edge, within(45):
            clients = await follow(edge, ledgers)
            await talk(mesh, range(EVENTS))
            await read_to(clients, EVENTS - 1)
            server.kill()
            await server.wait()
            await eventually(lambda: not edge.edge.mesh.connection.is_connected)
            server = await NatsServer.start(tmp_path, port=port)
            async with counted(monkeypatch) as asked:
                async with Mesh.connect(server.url) as swift:
                    await talk(swift, range(EVENTS, 2 * EVENTS))
                await eventually(lambda: edge.edge.is_ready)
                await read_to(clients, 2 * EVENTS - 1)
                assert len(asked) < TOPICS
            await mesh.connection.wait_ready(5)
            await talk(mesh, range(2 * EVENTS, 3 * EVENTS))
            await read_to(clients, 3 * EVENTS - 1)
            await leave(clients)
    finally:
        await server.stop()
    for ledger in ledgers:
        assert said(ledger) == list(range(3 * EVENTS))
