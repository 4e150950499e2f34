"""Draining an edge: nobody is cut off in the middle of a word."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from daena_mesh.embedded import NatsServer
from mesh_edge import Edge, closing
from tests.support.deadlines import within
from tests.support.edge import provisioned_mesh, running_edge
from tests.support.edge_command import edge_command
from tests.support.ws_client import RawClient, masked


async def until_close(client: RawClient) -> bytes:
    """Read until the close frame, and give its code."""
    async with within():
        while True:
            for opcode, payload in await client.read():
                if opcode == 8:
                    return payload[:2]


async def test_it_has_ended_when_the_last_client_has_answered(shared_nats: NatsServer) -> None:
    async with provisioned_mesh(shared_nats.url), running_edge(shared_nats.url, drain_s=0) as edge:
        client = await RawClient.connect(edge.port, "/ws/events")
        await client.read()
        draining = asyncio.create_task(edge.edge.drain())
        code = await until_close(client)
        assert int.from_bytes(code, "big") == closing.RESTART.code
        await asyncio.sleep(0.05)
        assert not draining.done()
        await client.send(masked(0x88, code))
        assert await client.read_to_end() == []
        async with within(1):
            await draining
        client.close()


async def test_who_never_answers_holds_it_up_for_two_seconds(shared_nats: NatsServer) -> None:
    async with provisioned_mesh(shared_nats.url), running_edge(shared_nats.url, drain_s=0) as edge:
        silent = await RawClient.connect(edge.port, "/ws/events")
        async with within(10):
            await edge.edge.drain()
        assert edge.edge.manager.count() == 0
        silent.close()


@pytest.mark.promise("P-DRAIN-1")
async def test_who_was_let_in_a_moment_before_is_sent_away_too(
    shared_nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter = Edge.enter

    def late(edge: Edge, *given: Any, **named: Any) -> Any:
        edge.gate.is_draining = True
        return enter(edge, *given, **named)

    monkeypatch.setattr(Edge, "enter", late)
    async with (
        provisioned_mesh(shared_nats.url),
        running_edge(shared_nats.url) as edge,
        edge.connect("/ws/events") as client,
    ):
        assert client.hello["payload"]["status"] == "connected"
        assert (await client.frame())["payload"] == {"after_ms": 0}
        assert (await client.closing())[0] == closing.RESTART.code


@pytest.mark.promise("P-DRAIN-2")
async def test_a_second_signal_ends_it_at_once(shared_nats: NatsServer, tmp_path: Path) -> None:
    async with (
        provisioned_mesh(shared_nats.url),
        edge_command(shared_nats.url, folder=tmp_path, drain_s=300) as edge,
        edge.connect("/ws/events"),
        edge.connect("/ws/events") as client,
    ):
        edge.process.send_signal(signal.SIGTERM)
        await client.next("reconnect")
        assert edge.process.returncode is None
        assert await edge.end(within_s=5) == 128 + signal.SIGTERM
