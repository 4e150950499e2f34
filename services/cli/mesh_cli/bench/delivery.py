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
from mesh_cli.bench.machine import CannotBench, allow_sockets
from mesh_cli.bench.publisher import PREFIX, Published, agent

MOST_UNACKNOWLEDGED = 4_000
OPEN_RATE = 2_000
BUSY = 0.9
"""Of a core: beyond it the core may be what limits a figure."""


@contextlib.asynccontextmanager
async def loading(bench: Bench, contender: Running) -> AsyncIterator[Load]:
    """Give a load generator for a contender, on the load's core."""
    command = [await bench.program("load"), str(contender.port), *contender.load_arguments]
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
        self._published = 0

    async def deliver(self, count: int, rate: float) -> Delivered:
        """Publish ``count`` events at ``rate`` a second, and wait until every socket has what is its.

        Raises `CannotBench` where an event is lost, repeated or out of order, for such a figure says nothing.
        """
        count += -count % self._topics
        cpu_ns = self.contender.child.cpu_ns()
        self._load.mark()
        self._publisher.say(f"publish {count} {rate} {MOST_UNACKNOWLEDGED}")
        published = await self._publisher.answer(Published)
        if published.acked != count:
            raise CannotBench(f"NATS acknowledged {published.acked} of {count} events")
        report = await self._load.until(count * self._sockets // self._topics)
        cpu_ns = self.contender.child.cpu_ns() - cpu_ns
        self._published += count
        if faults := report.faults(self._published // self._topics):
            raise CannotBench(
                f"{self.contender.name} did not deliver {count} events to {self._sockets} sockets: {faults}"
            )
        return Delivered(report, published, cpu_ns)

    def note_bottleneck(self, work: str, delivered: Delivered) -> None:
        """Say so where the load's core had too much to do."""
        busy = (delivered.report.cpu_seconds + delivered.published.cpu_seconds) / delivered.report.seconds
        if busy > BUSY:
            self._bench.note(
                f"{work}, {self.contender.name}: the load generator was itself the bottleneck, its core was "
                f"{busy:.0%} busy"
            )


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
