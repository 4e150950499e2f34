"""`emit`: how many acknowledged events a second the SDK stores, beside nats-py alone."""

from __future__ import annotations

import statistics
import sys
from contextlib import AsyncExitStack

from mesh_cli.bench.child import Child
from mesh_cli.bench.emitter import OURS, Emitted
from mesh_cli.bench.harness import Bench
from mesh_cli.bench.work import Figure, Target, Work

BARE = "nats-py"
_SUBJECTS = {"signals": "agent.bench.activity", "records": "council.bench.update"}
_IN_FLIGHT = {"one by one": 1, "64 at a time": 64}
_EVENTS = {("signals", 1): 3_000, ("signals", 64): 8_000, ("records", 1): 800, ("records", 64): 4_000}
_SLICES = 5
"""Both take turns within a round, so that what else the machine does is the same to them."""


async def _run(bench: Bench) -> list[Figure]:
    figures = []
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(bench.mesh())
        children: dict[str, Child] = {}
        for name in filter(bench.wants, WORK.contenders):
            command = [sys.executable, "-m", "mesh_cli.bench.emitter", name, nats.url]
            children[name] = await stack.enter_async_context(bench.start(name, command, core=bench.cores.edge))
        for stream, subject in _SUBJECTS.items():
            for manner, in_flight in _IN_FLIGHT.items():
                bench.tell(f"emit: {stream}, {manner}")
                count = bench.sized(_EVENTS[stream, in_flight] / _SLICES, least=in_flight)
                emitted: dict[str, list[Emitted]] = {name: [] for name in children}
                for _ in range(_SLICES):
                    for name, child in children.items():
                        child.say(f"emit {subject} {count} {in_flight}")
                        emitted[name].append(await child.answer(Emitted))
                for name, slices in emitted.items():
                    rate = statistics.median(count / one.seconds for one in slices)
                    cpu = statistics.median(one.cpu_seconds / count for one in slices) * 1e6
                    where = f"{stream}, {manner}"
                    figures += [
                        Figure(contender=name, measure=where, value=rate, unit="/s"),
                        Figure(contender=name, measure=f"{where}: CPU an event", value=cpu, unit="µs"),
                    ]
    return figures


WORK = Work(
    name="emit",
    about="Events a second that are stored and acknowledged.",
    contenders=(OURS, BARE),
    baseline=BARE,
    run=_run,
    targets=tuple(
        Target(measure=f"{stream}, {manner}", at_least=0.85, times_baseline=True)
        for stream in _SUBJECTS
        for manner in _IN_FLIGHT
    ),
)
