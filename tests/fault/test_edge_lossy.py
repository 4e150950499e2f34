"""An edge whose live messages get lost at random, with sockets that come, go, stop reading and read on at random.

The model: whatever happens, each socket is shown a suffix of the log without a hole, each event once. Before anything
that a later event on its subject reveals, the loss is healed; what only the audit finds may come late.

Nothing stands in for NATS: its messages come off the wire and are thrown away before the edge sees them.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from daena_mesh import Mesh
from daena_mesh.connection import Subscription
from daena_mesh.embedded import NatsServer
from daena_mesh.tap import Handler
from mesh_edge import Edge
from tests.support.deadlines import eventually, within
from tests.support.edge import RunningEdge, provisioned_mesh, running_edge
from tests.support.flood import flood
from tests.support.ws_client import Frame, Ledger, RawClient


def lose(edge: Edge, loses: list[float], chance: random.Random) -> list[int]:
    """From now on lose live messages with the probability ``loses[0]``; returns how many were, as it goes."""
    connection, lost = edge.mesh.connection, [0]
    subscribe = connection.subscribe

    def lossy(subject: str, handler: Handler) -> Subscription:
        def take(name: bytes, reply: bytes, headers: bytes, body: bytes) -> None:
            if chance.random() < loses[0]:
                lost[0] += 1
            else:
                handler(name, reply, headers, body)

        return subscribe(subject, take if subject.startswith("live.") else handler)

    connection.subscribe = lossy  # type: ignore[method-assign]
    return lost


@asynccontextmanager
async def lossy_edge(nats: NatsServer, loses: list[float], seed: int) -> AsyncIterator[tuple[Mesh, RunningEdge]]:
    async with (
        provisioned_mesh(nats.url) as mesh,
        running_edge(nats.url, audit_s=1, behind_bytes=2_048, linger_s=0.05, send_buffer_bytes=4_096) as edge,
    ):
        lose(edge.edge, loses, random.Random(seed))
        yield mesh, edge


@pytest.mark.promise("P-HEAL-1")
async def test_a_loss_that_a_later_event_reveals_is_healed_before_it_is_shown(nats_server: NatsServer) -> None:
    loses = [0.0]
    async with lossy_edge(nats_server, loses, 1) as (mesh, edge):
        async with edge.connect("/ws/chat/s1") as client, edge.connect("/ws/events") as all_of_it:
            for round_ in range(30):
                loses[0] = 1.0
                await flood(mesh, "chat.s1.message", range(4 * round_, 4 * round_ + 3))
                # What was sent to the edge until now has come and is lost.
                await edge.edge.mesh.connection.flush()
                loses[0] = 0.0
                await flood(mesh, "chat.s1.message", [4 * round_ + 3])
                for watcher in (client, all_of_it):
                    await watcher.events(4)
        for watcher in (client, all_of_it):
            contents = [event["payload"]["content"] for event in watcher.ledger.events]
            assert contents == list(range(120))


@pytest.mark.promise("P-HEAL-1")
async def test_a_loss_that_nothing_reveals_is_found_by_the_audit(nats_server: NatsServer) -> None:
    loses = [1.0]
    async with lossy_edge(nats_server, loses, 1) as (mesh, edge), edge.connect("/ws/chat/s1") as client:
        await flood(mesh, "chat.s1.message", range(3))
        assert [event["payload"]["content"] for event in await client.events(3, within_s=5)] == [0, 1, 2]


async def test_a_late_find_reaches_those_who_lack_it_once(nats_server: NatsServer) -> None:
    """Event 1 is lost and revealed by event 4 of its own subject, after 2 and 3 of another were shown."""
    loses = [0.0]
    async with lossy_edge(nats_server, loses, 1) as (mesh, edge):
        before = await mesh.publish("chat.s1.message", {"content": 0})
        async with edge.connect("/ws/chat/s1", ledger=Ledger(late=True)) as client:
            loses[0] = 1.0
            await flood(mesh, "chat.s1.message", [1])
            await edge.edge.mesh.connection.flush()
            loses[0] = 0.0
            await flood(mesh, "session.s1.updated", [2, 3])
            await client.events(2)
            async with (
                edge.connect("/ws/chat/s1", since=before.cursor) as resumed,
                edge.connect("/ws/chat/s1", ledger=Ledger(late=True)) as fresh,
            ):
                await resumed.events(3)
                await fresh.pong()
                await flood(mesh, "chat.s1.message", [4])
                await client.events(2)
                await resumed.events(1)
                for _ in range(2):
                    await fresh.pong()
                shown = [[event["payload"]["content"] for event in c.ledger.events] for c in (client, resumed, fresh)]
                assert shown[:2] == [[2, 3, 1, 4], [1, 2, 3, 4]]
                assert shown[2] == [4]  # it came after event 1


class Wanderer:
    """A client that behaves as badly as a phone in a tunnel: pauses, vanishes, and comes back with its cursors."""

    def __init__(
        self, edge: RunningEdge, path: str, last: int, chance: random.Random, *, vanishes: bool = True
    ) -> None:
        self.ledger = Ledger(late=not vanishes)
        self.ended = False
        self._edge = edge
        self._path = path
        self._last = last
        self._chance = chance
        self._vanishes = vanishes

    def _has_all(self) -> bool:
        return self.ended

    async def wander(self) -> None:
        while not self._has_all():
            since = f"?since={self.ledger.since}" if self.ledger.newest else ""
            raw = await RawClient.connect(self._edge.port, self._path + since, buffer_bytes=4_096)
            try:
                for _ in range(self._chance.randrange(5, 120) if self._vanishes else 10**6):
                    if self._chance.random() < 0.1:
                        await asyncio.sleep(self._chance.random() / 5)
                    for frame in await raw.frames(self._chance.choice((512, 4_096, 65_536))):
                        self._note(frame)
                    if self._has_all():
                        return
            finally:
                raw.close()

    def _note(self, frame: Frame) -> None:
        self.ledger.note(frame)
        if "cursor" in frame:
            contents = [event["payload"]["content"] for event in self.ledger.events]
            self.ended = max(contents) == self._last and len(contents) == self._last - min(contents) + 1


@pytest.mark.timeout(60)
@pytest.mark.parametrize("seed", [1, 2])
async def test_each_wanderer_is_shown_all_that_was_said_once(nats_server: NatsServer, seed: int) -> None:
    """On one subject, so that every loss but that of the last event is revealed by the next one."""
    chance, loses, last = random.Random(seed), [0.02], 1_499
    async with lossy_edge(nats_server, loses, seed) as (mesh, edge), within(40):
        paths = ("/ws/chat/s1", "/ws/events")
        wanderers = [Wanderer(edge, paths[i % 2], last, random.Random(100 * seed + i)) for i in range(8)]
        wandering = [asyncio.create_task(wanderer.wander()) for wanderer in wanderers]
        try:
            await eventually(lambda: all(wanderer.ledger.newest for wanderer in wanderers))
            at = 0
            while at <= last:
                end = min(at + chance.randrange(1, 120), last + 1)
                await flood(mesh, "chat.s1.message", range(at, end), pad_bytes=chance.choice((0, 200, 900)))
                await asyncio.sleep(chance.random() / 50)
                at = end
            await asyncio.gather(*wandering)
        finally:
            for task in wandering:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*wandering, return_exceptions=True)
        for wanderer in wanderers:
            contents = [event["payload"]["content"] for event in wanderer.ledger.events]
            assert contents == list(range(contents[0], last + 1))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("seed", [2, 3])
async def test_each_slow_reader_is_shown_also_the_late_finds_once(nats_server: NatsServer, seed: int) -> None:
    """On three subjects of one stream, so that a loss on one is not revealed by an event on another."""
    chance, loses, last = random.Random(seed), [0.02], 2_002
    subjects = ("chat.s1.message", "session.s1.updated", "session.s1.created")
    async with lossy_edge(nats_server, loses, seed) as (mesh, edge):
        wanderers = [
            Wanderer(edge, "/ws/chat/s1", last, random.Random(100 * seed + i), vanishes=False) for i in range(6)
        ]
        wandering = [asyncio.create_task(wanderer.wander()) for wanderer in wanderers]
        try:
            await eventually(lambda: all(wanderer.ledger.newest for wanderer in wanderers))
            at = 0
            while at < 2_000:
                end = min(at + chance.randrange(1, 30), 2_000)
                await flood(mesh, chance.choice(subjects), range(at, end), pad_bytes=chance.choice((0, 200, 900)))
                await asyncio.sleep(chance.random() / 50)
                at = end
            await edge.edge.mesh.connection.flush()
            loses[0] = 0.0
            for i, subject in enumerate(subjects):
                await flood(mesh, subject, [2_000 + i])
            await asyncio.wait(wandering, timeout=10)
        finally:
            for task in wandering:
                task.cancel()
            ends = await asyncio.gather(*wandering, return_exceptions=True)
        assert [end for end in ends if isinstance(end, AssertionError)] == []
        for wanderer in wanderers:
            contents = [event["payload"]["content"] for event in wanderer.ledger.events]
            missing = set(range(min(contents), last + 1)) - set(contents)
            assert not missing
            assert len(contents) == last + 1 - min(contents)
            by_subject: dict[str, int] = {}
            for event in wanderer.ledger.events:
                assert by_subject.get(event["subject"], -1) < event["payload"]["content"]
                by_subject[event["subject"]] = event["payload"]["content"]
