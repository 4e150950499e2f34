"""A whole secured mesh under all of it: an agent with real credentials, sockets, heads and bodies, all malicious.

What is looked at from outside, before and after: descriptors, memory, connections to NATS, and what was logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest

from daena_mesh.connection import Connection
from daena_mesh.vault import Vault
from tests.fuzz.mutation import mutations
from tests.fuzz.targets import TARGETS
from tests.support.connections import connected
from tests.support.deadlines import eventually, within
from tests.support.hostile_nats import REPLIES, a_body, a_head
from tests.support.running_mesh import RunningMesh

ROUNDS = 8
"""The first half warms up."""
MESSAGES, SOCKETS, HEADS, BODIES = 1_500, 60, 60, 60
MOST_DRIFT = 0.05
BURST = 20
PEERS = 2
"""The agent, and this address."""
CHAT = "/api/v1/daena/chat"
UPGRADE = (
    b"GET /ws/chat/s1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SUBJECTS = [
    *("agent.scout.activity", "agent.scout.status", "task.t{}.update.scout", "ask.agent.a{}.scout", "$KV.AGENTS.scout"),
    *(
        "chat.s1.message.scout",
        "chat.s1.delta.scout",
        "chat.s1.typing.scout",
        "mesh.log.s1.scout",
        "ask.daena.vp.scout",
    ),
    *("$JS.API.CONSUMER.MSG.NEXT.ASKS.agent-scout", "$JS.ACK.ASKS.agent-scout.1.{}.3.4.5", "chat.s1.message"),
]
OTHERS = [b"agent.other.status", b"$JS.API.STREAM.PURGE.RECORDS", b"live.chat.s1.message"]
"""What it may not even publish: a few, as the server itself writes a line for each."""

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at descriptors and memory in /proc"),
]


class Attack:
    """One of each kind, as often as it is asked for."""

    def __init__(self, mesh: RunningMesh, agent: Connection, web: httpx.AsyncClient) -> None:
        self._mesh = mesh
        self._agent = agent
        self._web = web
        self._chance = random.Random(31)
        self._frames = mutations(TARGETS["frames"].seeds, 32)
        self._heads = mutations([UPGRADE, *TARGETS["handshakes"].seeds], 33)
        self._bodies = mutations([b'{"message":"x","session_id":"s1","metadata":{"a":[1,2.5e3,null]}}'], 34)

    async def once(self) -> None:
        """Everything."""
        await self._publish()
        await many(SOCKETS, lambda: self._talk(UPGRADE, next(self._frames)))
        await many(HEADS, lambda: self._talk(next(self._heads)))
        await many(BODIES, self._post)

    async def _publish(self) -> None:
        chance = self._chance
        for number in range(MESSAGES):
            subject = chance.choice(SUBJECTS).format(chance.randrange(20))
            self._agent.publish(subject, a_body(chance), a_head(chance), chance.choice(REPLIES))
            if number % 100 == 0:
                await self._agent.flush()
        for other in OTHERS:
            self._agent.publish(other.decode(), b"{}")
        await self._agent.flush()

    async def _talk(self, *said: bytes) -> None:
        """Say it, and go away: half of them politely, the others with a reset."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._mesh.port)
        try:
            for piece in said:
                writer.write(piece)
                await writer.drain()
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(0.05):
                    while await reader.read(65_536):
                        pass
        except ConnectionError:
            pass
        finally:
            if self._chance.random() < 0.5:
                writer.transport.abort()
            writer.close()

    async def _post(self) -> None:
        headers = {"Content-Type": "application/json"}
        answer = await self._web.post(CHAT, content=next(self._bodies), headers=headers)
        assert answer.status_code < 500, answer.text


async def many(count: int, one: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do it so often, twenty at a time."""
    for begin in range(0, count, 20):
        async with asyncio.TaskGroup() as group:
            for _ in range(min(20, count - begin)):
                group.create_task(one())


def descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def memory(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


async def connects(web: httpx.AsyncClient) -> list[str]:
    """How often the API and the edge have connected to NATS."""
    return re.findall(r"(?m)^mesh_\w+_nats_connects_total(?:\{[^}]*\})? (\S+)$", (await web.get("/metrics")).text)


async def test_a_whole_mesh_is_as_it_was_after_all_of_it(tmp_path: Path) -> None:
    vault = Vault.create(tmp_path / ".mesh" / "creds")
    scout = vault.mint("agent", "scout", sessions=["s1"]).path
    began = time.monotonic()
    async with (
        RunningMesh(tmp_path, "--secure", MESH_MESSAGES_PER_S="100000", MESH_HANDSHAKES_PER_S="100000") as mesh,
        httpx.AsyncClient(base_url=mesh.url, timeout=60) as web,
        connected(mesh.nats_url, name="scout", credentials=str(scout), inbox="_INBOX_scout") as agent,
        within(280),
    ):
        attack = Attack(mesh, agent, web)
        open_before, before, lines_before = descriptors(mesh.pid), 0, len(mesh.log.splitlines())
        for number in range(ROUNDS):
            await attack.once()
            await eventually(lambda: is_ready(web), within_s=60)
            honest = await web.post(CHAT, json={"message": f"honest {number}", "session_id": "honest"})
            assert honest.status_code == 200, honest.text
            if number == ROUNDS // 2 - 1:
                before = memory(mesh.pid)
        await web.aclose()
        await eventually(lambda: descriptors(mesh.pid) <= open_before, within_s=60)
        await eventually(lambda: memory(mesh.pid) <= before * (1 + MOST_DRIFT), within_s=60)
        async with httpx.AsyncClient(base_url=mesh.url) as after:
            assert await connects(after) == ["1.0", "1.0"] or set(await connects(after)) == {"1"}
            session = (await after.get("/api/v1/chat-history/sessions/honest")).json()
            assert [message["payload"]["content"] for message in session["messages"]] == [
                f"honest {number}" for number in range(ROUNDS)
            ]
        assert agent.connects == 1
        log = mesh.log
        lines = log.splitlines()[lines_before:]
        assert "Traceback" not in log, log[:9000]
        assert len(lines) <= BURST + PEERS * (time.monotonic() - began), lines[:20]
        assert all(line.isprintable() for line in lines)


async def is_ready(web: httpx.AsyncClient) -> bool:
    return (await web.get("/readyz")).status_code == 200
