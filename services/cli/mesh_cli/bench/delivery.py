"""Delivering to sockets: the contender, the sockets and the publisher that `fanout`, `direct` and `flood` share."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

from mesh_cli.bench.child import Child
from mesh_cli.bench.contenders import Running, running
from mesh_cli.bench.harness import Bench
from mesh_cli.bench.load import Load, Report
from mesh_cli.bench.machine import CannotBench, allow_sockets, cpu_ns
from mesh_cli.bench.publisher import PREFIX, Published, agent

MOST_UNACKNOWLEDGED = 4_000
OPEN_RATE = 2_000
BUSY = 0.9
"""Of a core: beyond it the core may be what limits a figure."""


@contextlib.asynccontextmanager
async def loading(bench: Bench, contender: Running, *, rests: bool = False) -> AsyncIterator[Load]:
    """Give a load generator for a contender, on the load's core; one that ``rests`` need not be woken, at any cost."""
    command = [await bench.program("load"), str(contender.port), *contender.load_arguments]
    if rests:
        command.append("--rests")
    async with bench.start("load", command, core=bench.cores.load) as child:
        yield Load(child, bench.path("guests"))


@contextlib.asynccontextmanager
async def publishing(bench: Bench, contender: Running, topics: int) -> AsyncIterator[Child]:
    """Give a publisher to a number of topics, on the load's core."""
    command = [sys.executable, "-m", "mesh_cli.bench.publisher", str(contender.nats_port), str(topics), PREFIX]
    async with bench.start("publisher", command, core=bench.cores.load) as child:
        yield child


@dataclass(frozen=True)
class Delivered:
    """What it took to deliver a number of events."""

    report: Report
    published: Published
    cpu_ns: int
    """Of the contender, between two instants at which nothing was under way."""
    load_share: float
    """Of the time, how much the load's core worked: load generator, publisher and NATS, where that is beside."""


class Delivery:
    """A contender with its sockets and its publisher."""

    def __init__(
        self, bench: Bench, contender: Running, load: Load, publisher: Child, *, sockets: int, topics: int
    ) -> None:
        self._bench = bench
        self.contender = contender
        self._load = load
        self._publisher = publisher
        self._sockets = sockets
        self._topics = topics
        self.published = 0
        """How many events were published, on all topics."""

    async def deliver(self, count: int, rate: float) -> Delivered:
        """Publish ``count`` events at ``rate`` a second, and wait until every socket has what is its.

        Raises `CannotBench` where an event is lost, repeated or out of order, for such a figure says nothing.
        """
        count += -count % self._topics
        before = self._spent()
        await self._load.mark()
        self._publisher.say(f"publish {count} {rate} {MOST_UNACKNOWLEDGED}")
        published = await self._publisher.answer(Published)
        if published.acked != count:
            raise CannotBench(f"NATS acknowledged {published.acked} of {count} events")
        report = await self._load.until(count * self._sockets // self._topics)
        after = self._spent()
        self.published += count
        if faults := report.faults(self.published // self._topics):
            raise CannotBench(
                f"{self.contender.name} did not deliver {count} events to {self._sockets} sockets: {faults}"
            )
        beside_s = report.cpu_seconds + published.cpu_seconds + (after[1] - before[1]) / 1e9
        return Delivered(report, published, after[0] - before[0], beside_s / report.seconds)

    def note_bottleneck(self, work: str, load_share: float) -> None:
        """Say so where the load's core had too much to do."""
        if load_share > BUSY:
            self._bench.note(
                f"{work}, {self.contender.name}: the load generator's core was {load_share:.0%} busy, so it may itself "
                "be what limits the figure"
            )

    def _spent(self) -> tuple[int, int]:
        """Give the time that the contender worked so far, and NATS on the load's core."""
        contender = self.contender
        is_beside = contender.nats_pid != contender.child.pid
        return contender.child.cpu_ns(), cpu_ns(contender.nats_pid) if is_beside else 0


@contextlib.asynccontextmanager
async def delivering(bench: Bench, name: str, *, sockets: int, topics: int) -> AsyncIterator[Delivery]:
    """Give a contender with ``sockets`` sockets on ``topics`` topics, all of them joined."""
    allow_sockets(sockets)
    async with (
        running(name, bench) as contender,
        loading(bench, contender) as load,
        publishing(bench, contender, topics) as publisher,
    ):
        guests = [contender.guest(agent(number % topics)) for number in range(sockets)]
        await load.open(guests, rate=OPEN_RATE)
        yield Delivery(bench, contender, load, publisher, sockets=sockets, topics=topics)
