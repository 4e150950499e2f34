"""A malicious client of NATS: bodies and headers of all kinds on every subject, while an edge and an API run."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from typing import Any

import pytest

from daena_mesh.embedded import NatsServer
from tests.support.api import SESSIONS, running_api
from tests.support.deadlines import eventually, within
from tests.support.edge import provisioned_mesh, running_edge

COUNT = 6_000
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
VALUES: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        1e308,
        10**30,
        "",
        "\0",
        "\x1b[2J\r\nERROR forged line",
        "*",
        "a.b",
        "x" * 3_000,
        [],
        {},
        [[[]]],
    ),
    *({"a": {"b": None}}, "2026-13-45T99:99:99Z", "<script>alert(1)</script>"),
]
FIELDS = [
    *(
        "event_type",
        "payload",
        "id",
        "timestamp",
        "session_id",
        "message_id",
        "sender",
        "content",
        "metadata",
        "index",
        "run",
    ),
    *(
        "text",
        "task_id",
        "agent_id",
        "status",
        "progress",
        "instance",
        "serves",
        "answering",
        "tasks",
        "title",
        "cursor",
    ),
    *("users", "who", "since", "started_at", "target"),
]
HEADERS = [
    b"Nats-Msg-Id: %d",
    b"Nats-Sequence: 99999999999999999999%d",
    b"Nats-Stream: RECORDS%d",
    b"Nats-Time-Stamp: nonsense%d",
    b"Nats-Subject: chat.*.>%d",
    b"Nats-Last-Sequence: -%d",
    b"Nats-TTL: never%d",
    b"Nats-Rollup: all%d",
    b"Nats-Expected-Last-Sequence: x%d",
    b"Status: 503 %d",
    b"\xff\xfe\x00: %d",
    b": %d",
    b"no colon %d",
    b"A: " + b"y" * 4_000 + b"%d",
]
REPLIES = [b"", b"", b"chat.s1.message", b"live.chat.s1.message", b"_INBOX.nobody", b"$KV.AGENTS.a1"]


def a_body(chance: random.Random) -> bytes:
    kind = chance.randrange(8)
    if kind == 0:
        return chance.randbytes(chance.randrange(200))
    if kind == 1:
        return b"[" * chance.randrange(1, 5_000) + b"1"
    if kind == 2:
        return b'{"payload":' * chance.randrange(1, 800)
    payload = {name: chance.choice(VALUES) for name in chance.sample(FIELDS, chance.randrange(8))}
    event = {"payload": payload, "event_type": chance.choice(VALUES), "id": chance.choice(VALUES)}
    body = json.dumps(payload if kind < 5 else event).encode()
    if kind == 7:
        place = chance.randrange(len(body))
        body = body[:place] + chance.randbytes(2) + body[place + 1 :]
    return body


def a_head(chance: random.Random) -> bytes:
    if chance.randrange(3):
        return b""
    lines = [chance.choice(HEADERS) % chance.randrange(100) for _ in range(chance.randint(1, 4))]
    return b"NATS/1.0" + chance.choice([b"", b" 503", b" x y"]) + b"\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"


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
        lines = [record for record in caplog.records if record.name.startswith(("mesh_", "daena_mesh"))]
        assert not [record for record in lines if record.exc_info], [record.getMessage() for record in lines][:5]
        assert len(lines) <= BURST + (time.monotonic() - began), [record.getMessage()[:150] for record in lines][:20]
        assert all(record.getMessage().isprintable() for record in lines)
