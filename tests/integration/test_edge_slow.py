"""Readers that are too slow: they cost the others nothing, the edge next to nothing, and lose nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence

import httpx
import pytest
import pytest_asyncio

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from mesh_edge import closing
from tests.support.deadlines import eventually, within
from tests.support.edge import EdgeProcess, edge_process, provisioned_mesh, running_edge
from tests.support.flood import flood
from tests.support.ws_client import Ledger, RawClient

EVENTS = 20_000
PAD_BYTES = 150


@pytest_asyncio.fixture
async def mesh(nats_server: NatsServer) -> AsyncIterator[Mesh]:
    async with provisioned_mesh(nats_server.url) as mesh:
        yield mesh


@pytest_asyncio.fixture
async def edge(nats_server: NatsServer, mesh: Mesh) -> AsyncIterator[EdgeProcess]:
    async with edge_process(nats_server.url) as edge:
        yield edge


async def read_all(
    raw: RawClient, ledger: Ledger, count: int, *, most_bytes: int = 65_536, may: Callable[[], bool] = lambda: True
) -> None:
    """Read until ``count`` events came, each time that it ``may``."""
    while len(ledger.events) < count:
        await eventually(may)
        for frame in await raw.frames(most_bytes):
            ledger.note(frame)


async def greeted(raw: RawClient, ledger: Ledger) -> None:
    """Read until the edge says that it follows live."""
    while not ledger.newest:
        for frame in await raw.frames():
            ledger.note(frame)


class Line:
    """What one of very many readers has read: the numbers alone are looked at."""

    def __init__(self, raw: RawClient) -> None:
        self.last = -1
        self.others: list[int] = []
        """How far all were when this one had everything, if it was the first."""
        self._raw = raw
        self._rest = b""

    async def read(self, count: int, lines: Sequence[Line]) -> None:
        """Read until ``count`` events came, each once and in order."""
        while self.last < count - 1:
            data = await asyncio.get_running_loop().sock_recv(self._raw.sock, 4_096)
            assert data, "it was closed"
            await asyncio.sleep(0)  # they take turns, however much is there
            *whole, self._rest = (self._rest + data).split(b',"pad":')  # which stands behind the number
            for event in whole:
                number = int(event.rpartition(b'"content":')[2])
                assert number == self.last + 1
                self.last = number
        if max(line.last for line in lines if line is not self) < count - 1:
            self.others = [line.last for line in lines]


GIVEN = "mesh_edge_pieces_given_total"


async def metrics(port: int) -> dict[str, float]:
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{port}/metrics", timeout=60)
    lines = (line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


async def are_from_log(port: int, count: int) -> bool:
    return (await metrics(port))['mesh_edge_readers{state="from_log"}'] == count


async def most_at_once(port: int) -> float:
    """Look at how many replays are read at a time until it is cancelled, and give the most that were seen."""
    most = 0.0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            most = max(most, (await metrics(port))["mesh_edge_replays"])
            await asyncio.sleep(0.02)
    return most


def contents(ledger: Ledger) -> list[int]:
    return [event["payload"]["content"] for event in ledger.events]


@pytest.mark.promise("P-SLOW-1")
@pytest.mark.linux
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_a_reader_that_stops_costs_nothing_and_reads_on_without_a_loss(edge: EdgeProcess, mesh: Mesh) -> None:
    stopped = await RawClient.connect(edge.port, "/ws/agent/busy")
    swift = await RawClient.connect(edge.port, "/ws/agent/busy", buffer_bytes=0)
    ledger, other = Ledger(), Ledger()
    try:
        await greeted(stopped, ledger)
        await greeted(swift, other)
        await flood(mesh, "agent.busy.activity", range(100))
        await read_all(swift, other, 100)
        before = edge.private_bytes()
        async with within(30):
            reading = asyncio.create_task(read_all(swift, other, EVENTS))
            await flood(mesh, "agent.busy.activity", range(100, EVENTS), pad_bytes=2 * PAD_BYTES)
            async with within(8):
                await reading  # promptly: it is done when the last event was published
            assert contents(other) == list(range(EVENTS))
            # 10 MB were shown; what the one that stopped has not taken is in the log, not here.
            assert edge.private_bytes() - before < 5_000_000
            await read_all(stopped, ledger, EVENTS)
            assert contents(ledger) == list(range(EVENTS))
            await flood(mesh, "agent.busy.activity", [EVENTS])
            await read_all(stopped, ledger, EVENTS + 1)
            assert "prev" in ledger.events[-1]  # it follows live again
    finally:
        stopped.close()
        swift.close()


async def test_a_reader_at_a_tenth_of_the_rate_gets_all_of_it_in_order(edge: EdgeProcess, mesh: Mesh) -> None:
    slow = await RawClient.connect(edge.port, "/ws/events")
    swift = await RawClient.connect(edge.port, "/ws/events", buffer_bytes=0)
    ledger, other = Ledger(), Ledger()
    try:
        await greeted(slow, ledger)
        await greeted(swift, other)
        async with within(30):
            reading = asyncio.create_task(read_all(swift, other, 10_000))
            is_over = asyncio.Event()

            def may() -> bool:
                return is_over.is_set() or 10 * len(ledger.events) <= len(other.events)

            dawdling = asyncio.create_task(read_all(slow, ledger, 10_000, most_bytes=20_000, may=may))
            await flood(mesh, "agent.busy.activity", range(10_000), pad_bytes=PAD_BYTES)
            await reading
            assert len(ledger.events) < 5_000
            is_over.set()
            await dawdling
        assert contents(ledger) == contents(other) == list(range(10_000))
    finally:
        slow.close()
        swift.close()


@pytest.mark.promise("P-SLOW-1")
@pytest.mark.linux
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_fifty_slow_readers_at_once_share_what_they_are_given(edge: EdgeProcess, mesh: Mesh) -> None:
    crowd = [await RawClient.connect(edge.port, "/ws/agent/busy", buffer_bytes=4_096) for _ in range(50)]
    swift = await RawClient.connect(edge.port, "/ws/agent/busy", buffer_bytes=0)
    other, ledgers = Ledger(), [Ledger() for _ in crowd]
    try:
        for raw, ledger in zip((*crowd, swift), (*ledgers, other), strict=True):
            await greeted(raw, ledger)
        async with within(50):
            before = edge.private_bytes()
            reading = asyncio.create_task(read_all(swift, other, 4_000))
            await flood(mesh, "agent.busy.activity", range(4_000), pad_bytes=1_000)
            async with within(3):
                await reading
            # They were shown 220 MB. Each may hold 64 kB, or a piece of a replay: 256 kB.
            assert edge.private_bytes() - before < 50 * 262_144 + 8_000_000
            await asyncio.gather(
                *(read_all(raw, ledger, 4_000) for raw, ledger in zip(crowd, ledgers, strict=True)),
            )
            assert {tuple(contents(ledger)) for ledger in ledgers} == {tuple(range(4_000))}
    finally:
        for raw in (*crowd, swift):
            raw.close()


@pytest.mark.promise("P-SLOW-1")
async def test_five_hundred_slow_readers_are_served_side_by_side(nats_server: NatsServer, mesh: Mesh) -> None:
    """All of them are behind when they begin to read, each at its own pace."""
    events = 600
    async with edge_process(nats_server.url, keepalive_s=60, stuck_s=300) as edge, within(150):
        raws = [await RawClient.connect(edge.port, "/ws/agent/busy", buffer_bytes=4_096) for _ in range(500)]
        swift = await RawClient.connect(edge.port, "/ws/agent/busy", buffer_bytes=0)
        other = Ledger()
        try:
            for raw in raws:
                await greeted(raw, Ledger())
            await greeted(swift, other)
            reading = asyncio.create_task(read_all(swift, other, events))
            await flood(mesh, "agent.busy.activity", range(events), pad_bytes=700)
            async with within(10):
                await reading  # who keeps up does not wait for the others
            assert contents(other) == list(range(events))
            await eventually(lambda: are_from_log(edge.port, len(raws)), within_s=20)

            begun, lines = await metrics(edge.port), [Line(raw) for raw in raws]
            watching = asyncio.create_task(most_at_once(edge.port))
            await asyncio.gather(*(line.read(events, lines) for line in lines))
            watching.cancel()
            ended = await metrics(edge.port)
            read, given = (ended[name] - begun[name] for name in ("mesh_edge_pieces_read_total", GIVEN))
            print(f"{read:g} pieces of the log were read and given {given:g} times")
            # One that had to read each piece for each reader would read as many as it gives.
            assert given >= len(raws)
            assert read <= given / 5
            assert await watching <= 8
            # When the first had everything, nobody was far behind.
            furthest = next(line.others for line in lines if line.others)
            print(f"the first has {events}, the last {min(furthest) + 1}")
            assert min(furthest) >= events / 4
        finally:
            for raw in (*raws, swift):
                raw.close()


async def test_a_stuck_reader_is_closed_with_a_code_to_resume_on_and_a_slow_one_is_not(
    nats_server: NatsServer, mesh: Mesh
) -> None:
    async with running_edge(nats_server.url, keepalive_s=1, stuck_s=1.5, send_buffer_bytes=8_192) as edge:
        stuck = await RawClient.connect(edge.port, "/ws/agent/busy", buffer_bytes=4_096)
        slow = await RawClient.connect(edge.port, "/ws/agent/busy", buffer_bytes=4_096)
        ledger = Ledger()
        try:
            await greeted(stuck, Ledger())
            await greeted(slow, ledger)
            (topic,) = edge.edge.topics()
            await flood(mesh, "agent.busy.activity", range(1_000), pad_bytes=1_000)

            async def is_alone() -> bool:
                for frame in await slow.frames(2_000):
                    ledger.note(frame)
                return len(topic.readers) == 1

            # 200 kB a second at most: it is behind all the time, and never stuck. It is pinged, and does not answer
            # before it has read what was said before.
            await eventually(is_alone)
            assert ledger.events
            assert len(ledger.events) < 1_000
            stuck.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # now it reads swiftly
            last = (await stuck.read_to_end())[-1]
            assert last[0] == 8
            assert int.from_bytes(last[1][:2], "big") == closing.TOO_SLOW.code
            async with within(20):
                await read_all(slow, ledger, 1_000)
            assert contents(ledger) == list(range(1_000))
        finally:
            stuck.close()
            slow.close()


async def test_a_dead_peer_is_found_and_one_that_answers_stays(nats_server: NatsServer, mesh: Mesh) -> None:
    async with running_edge(nats_server.url, keepalive_s=1) as edge:
        silent = await RawClient.connect(edge.port, "/ws/council")
        try:
            async with edge.connect("/ws/council") as answering:
                await eventually(lambda: edge.edge.manager.count("council") == 2)
                await eventually(lambda: edge.edge.manager.count("council") == 1, within_s=6)
                assert await answering.pong() == []
                assert [opcode for opcode, _ in (await silent.read_to_end())] in ([1, 9, 9], [1, 9, 9, 9])
        finally:
            silent.close()
