"""A malicious client of NATS: bodies and headers of all kinds on every subject, while an edge and an API run."""

from __future__ import annotations

import asyncio
import logging
import random
import time

import pytest

from daena_mesh.embedded import NatsServer
from tests.support.api import SESSIONS, running_api
from tests.support.deadlines import eventually, within
from tests.support.edge import provisioned_mesh, running_edge
from tests.support.hostile_nats import REPLIES, a_body, a_head

COUNT = 6_000
FEW = 8
"""So many tasks may be at work on what they have just been told; one for each message would be thousands."""
BURST = 12
"""So many lines may come at once; after that, one a second."""

SUBJECTS = [
    *(
        "chat.{}.message",
        "chat.{}.message.{}",
        "chat.{}.delta.{}",
        "chat.{}.stop",
        "chat.{}.typing",
        "session.{}.created",
    ),
    *("session.{}.deleted", "session.{}.updated", "agent.{}.activity", "agent.{}.status", "task.{}.update.{}"),
    *(
        "brain.{}.status",
        "ask.agent.{}.{}",
        "ask.daena.vp.{}",
        "presence.chat_{}.{}",
        "system.{}.notice",
        "council.{}.update",
    ),
    *(
        "live.chat.{}.message",
        "live.session.{}.deleted",
        "live.agent.{}.activity",
        "live.x",
        "live.chat.{}.message.a.b.c",
    ),
    *("$KV.AGENTS.{}", "$KV.PRESENCE.{}", "$KV.PRESENCE.chat_{}.{}", "$KV.REVOKED.{}", "$SRV.PING", "$SRV.INFO.{}"),
    *("svc.{}.cancel", "svc.{}.connections"),
]


@pytest.mark.promise("P-POISON-1")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_a_client_of_nats_says_breaks_an_edge_or_an_api(
    nats_server: NatsServer, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    chance = random.Random(seed)
    caplog.set_level(logging.WARNING)
    async with (
        running_api(nats_server.url) as api,
        running_edge(nats_server.url) as edge,
        provisioned_mesh(nats_server.url) as attacker,
        edge.connect("/ws/events") as watcher,
        edge.connect("/ws/chat/s1"),
        within(100),
    ):
        connections = [api.mesh.connection, edge.edge.mesh.connection]
        clients = [connection.client for connection in connections]
        tasks = len(asyncio.all_tasks())
        caplog.clear()
        began = time.monotonic()
        for number in range(COUNT):
            names = [f"{chance.choice('abcs')}{chance.choice([1, 2, chance.randrange(10_000)])}" for _ in range(2)]
            subject = chance.choice(SUBJECTS).format(*names)
            attacker.connection.publish(subject, a_body(chance), a_head(chance), chance.choice(REPLIES))
            if number % 100 == 0:
                await attacker.connection.flush()
                await asyncio.sleep(0)
        await attacker.connection.flush()

        async def is_well() -> bool:
            return (await api.client.get("/readyz")).status_code == 200

        await eventually(is_well, within_s=30)
        said = await api.client.post("/api/v1/daena/chat", json={"message": "after it", "session_id": "honest"})
        assert said.status_code == 200
        while (await watcher.event())["cursor"] != said.json()["cursor"]:
            pass
        assert (await api.client.get(f"{SESSIONS}/honest")).status_code == 200
        for path in (SESSIONS, "/api/v1/agents", "/api/v1/tasks", "/api/v1/brain/status", "/metrics"):
            assert (await api.client.get(path)).status_code == 200, path
        assert [connection.client for connection in connections] == clients
        assert [connection.connects for connection in connections] == [1, 1]
        await eventually(lambda: len(asyncio.all_tasks()) <= tasks + FEW, within_s=30)
        lines = [record for record in caplog.records if record.name.startswith(("mesh_", "daena_mesh"))]
        assert not [record for record in lines if record.exc_info], [record.getMessage() for record in lines][:5]
        assert len(lines) <= BURST + (time.monotonic() - began), [record.getMessage()[:150] for record in lines][:20]
        assert all(record.getMessage().isprintable() for record in lines)
