"""Edges that are stopped or killed under load: two thousand clients go on elsewhere, and are shown everything once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from mesh_cli.loop import allow_many_sockets
from tests.support.crowd import Crowd, Member
from tests.support.deadlines import eventually
from tests.support.edge import provisioned_mesh
from tests.support.edge_command import EdgeCommand, edge_command

CHATS, AGENTS = 20, 10
PATHS = [
    *(f"/ws/chat/c{i % CHATS}" for i in range(1_580)),
    *(f"/ws/agent/a{i % AGENTS}" for i in range(400)),
    *("/ws/events" for _ in range(20)),
]
SUBJECTS = [*(f"chat.c{i}.message" for i in range(CHATS)), *(f"agent.a{i}.activity" for i in range(AGENTS))]
PAUSE_S = 0.02


class Stream:
    """Events on all subjects in turn, numbered on each."""

    def __init__(self, mesh: Mesh) -> None:
        self.counts = dict.fromkeys(SUBJECTS, 0)
        self._mesh = mesh
        self._is_on = True

    async def run(self) -> None:
        """Publish until `stop`; each is stored before the next one."""
        turn = 0
        while self._is_on:
            subject = SUBJECTS[turn % len(SUBJECTS)]
            await self._mesh.publish(subject, {"content": self.counts[subject]})
            self.counts[subject] += 1
            turn += 1
            await asyncio.sleep(PAUSE_S)

    def stop(self) -> None:
        """Publish no more."""
        self._is_on = False

    def owed(self, member: Member) -> dict[str, int]:
        """The number of the last event on each subject that a member follows."""
        *_, kind, ident = member.path.split("/")
        mine = [subject for subject in SUBJECTS if kind == "ws" or subject.startswith(f"{kind}.{ident}.")]
        return {subject: self.counts[subject] - 1 for subject in mine}


@contextlib.asynccontextmanager
async def crowd_under_load(mesh: Mesh, *edges: EdgeCommand) -> AsyncIterator[tuple[Crowd, Stream]]:
    """Give two thousand clients at the edges, while events come; at the end each must have seen every one, once."""
    allow_many_sockets()
    crowd, stream = Crowd([edge.port for edge in edges], PATHS), Stream(mesh)
    publishing: asyncio.Task[None] | None = None
    try:
        await crowd.come()
        publishing = asyncio.create_task(stream.run())
        await eventually(lambda: all(member.shown for member in crowd.members))
        yield crowd, stream
        stream.stop()
        await publishing
        await eventually(lambda: all(member.last == stream.owed(member) for member in crowd.members), within_s=30)
        assert crowd.failures == []
    finally:
        crowd.disperse()
        if publishing is not None:
            publishing.cancel()


async def move(crowd: Crowd, stream: Stream, there: EdgeCommand) -> float:
    """Wait until all clients are at an edge and were shown something new there; give the seconds that took."""
    began = time.monotonic()
    await eventually(lambda: len(crowd.at(there.port)) == len(PATHS), within_s=60)
    took_s = time.monotonic() - began
    shown = {member: member.shown for member in crowd.members}
    await eventually(lambda: all(member.shown > before for member, before in shown.items()), within_s=40)
    return took_s


@pytest.mark.timeout(300)
@pytest.mark.promise("P-DRAIN-1", "P-DRAIN-4", "P-ORDER-1")
async def test_two_edges_are_restarted_one_after_the_other(
    nats_server: NatsServer, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async with (
        provisioned_mesh(nats_server.url) as mesh,
        edge_command(nats_server.url, folder=tmp_path) as first,
        edge_command(nats_server.url, folder=tmp_path) as second,
        crowd_under_load(mesh, first, second) as (crowd, stream),
    ):
        at_first = len(crowd.at(first.port))
        ending = asyncio.create_task(first.end())
        took_s = [await move(crowd, stream, second)]
        assert await ending == 0
        assert set(crowd.closed) == {1012}
        async with edge_command(nats_server.url, folder=tmp_path, port=first.port) as again:
            ending = asyncio.create_task(second.end())
            took_s.append(await move(crowd, stream, again))
            assert await ending == 0
            assert set(crowd.closed) == {1012}
            stream.stop()
            await eventually(lambda: all(member.last == stream.owed(member) for member in crowd.members), within_s=30)
        assert first.log == ""
    record_property("resumed_within_s", took_s)
    print(f"{at_first} and {len(PATHS)} clients moved within {took_s[0]:.1f} s and {took_s[1]:.1f} s")


@pytest.mark.timeout(300)
@pytest.mark.promise("P-RESUME-2", "P-ORDER-1")
async def test_an_edge_is_killed(
    nats_server: NatsServer, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async with (
        provisioned_mesh(nats_server.url) as mesh,
        edge_command(nats_server.url, folder=tmp_path) as first,
        edge_command(nats_server.url, folder=tmp_path) as second,
        crowd_under_load(mesh, first, second) as (crowd, stream),
    ):
        at_first = len(crowd.at(first.port))
        assert await first.end(signal.SIGKILL) == -signal.SIGKILL
        took_s = await move(crowd, stream, second)
        assert crowd.closed == {}
    record_property("resumed_within_s", took_s)
    print(f"{at_first} clients of a killed edge resumed within {took_s:.1f} s")
