"""An edge is sent what somebody watches there, and nothing else: told by nats-server's own counters."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.request import urlopen

import pytest

from daena_mesh.embedded import NatsServer
from tests.support.deadlines import eventually
from tests.support.edge import provisioned_mesh, running_edge
from tests.support.flood import flood

EVENTS = 2_000


async def connection_of(server: NatsServer, name: str) -> dict[str, Any]:
    """What nats-server counts for a connection, by the client's name, under ``/connz``."""

    def read() -> dict[str, Any]:
        with urlopen(f"{server.monitoring_url}/connz?subs=1", timeout=10) as answer:
            connections = json.load(answer)["connections"]
        (found,) = [connection for connection in connections if connection.get("name") == name]
        return dict(found)

    return await asyncio.to_thread(read)


@pytest.mark.promise("P-INTEREST-1")
async def test_an_edge_without_interest_is_sent_nothing_whatever_the_traffic(nats_server: NatsServer) -> None:
    async with (
        provisioned_mesh(nats_server.url) as mesh,
        running_edge(nats_server.url, edge_id="idle", linger_s=0) as idle,
        running_edge(nats_server.url, edge_id="one") as one,
        one.connect("/ws/chat/watched") as client,
    ):
        async with idle.connect("/ws/events") as passing:  # it had a viewer once
            await passing.pong()
        name = "mesh-edge/idle"

        async def listens() -> list[str]:
            subjects = (await connection_of(nats_server, name)).get("subscriptions_list", [])
            return [subject for subject in subjects if subject.startswith("live.")]

        async def has_left() -> bool:
            return not await listens()

        await eventually(has_left)
        before = {edge: await connection_of(nats_server, f"mesh-edge/{edge}") for edge in ("idle", "one")}
        for subject in ("chat.other.message", "agent.busy.activity", "session.other.updated", "system.all.notice"):
            await flood(mesh, subject, range(EVENTS), pad_bytes=500)
        await flood(mesh, "chat.watched.message", range(10))
        await client.events(10)
        after = {edge: await connection_of(nats_server, f"mesh-edge/{edge}") for edge in ("idle", "one")}
        sent = {edge: after[edge]["out_msgs"] - before[edge]["out_msgs"] for edge in after}
        bytes_sent = {edge: after[edge]["out_bytes"] - before[edge]["out_bytes"] for edge in after}
        # Answers to what it asks itself, such as where the streams stand, come every two seconds.
        assert sent["idle"] < EVENTS / 20
        assert bytes_sent["idle"] < 100_000
        # Whoever has a viewer is sent that topic, and what is for all.
        assert EVENTS + 10 <= sent["one"] < EVENTS + 10 + EVENTS / 20
        assert await listens() == []
