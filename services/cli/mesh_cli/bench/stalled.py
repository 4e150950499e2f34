"""`stalled`: what one reader that takes nothing costs the others of its topic, and the edge."""

from __future__ import annotations

import asyncio
import contextlib
import re
from statistics import median

from mesh_cli.bench.delivery import Delivered, Delivery, delivering
from mesh_cli.bench.harness import Bench
from mesh_cli.bench.machine import CannotBench
from mesh_cli.bench.publisher import agent
from mesh_cli.bench.staller import Staller
from mesh_cli.bench.work import OURS, Figure, Target, Work

_SOCKETS = 1_000
_RATE = 50.0
_TURNS = 2
_SECONDS = 4
"""Each has a p99 of its own, and the median of these counts: one hiccup of the machine is not what is looked for."""
_FILL, _FILL_RATE, _MOST_FILLS = 100, 500.0, 100
"""Events that the kernel and the edge hold for it before it has only its position."""
_NOBODY = "nobody stalls"
_P99, _CPU, _MEMORY = "p99 of the delay", "CPU a delivery", "memory that came on top"
_from_log = re.compile(rb'^mesh_edge_readers\{[^}]*state="from_log"[^}]*\} (\d+)', re.MULTILINE).findall


class _Seconds:
    """So many seconds of events."""

    def __init__(self) -> None:
        self._each: list[Delivered] = []
        self.most_grown_bytes = 1

    async def go_on(self, delivery: Delivery, seconds: int) -> None:
        """Have events delivered for ``seconds`` more."""
        self._each += [await delivery.deliver(round(_RATE), _RATE) for _ in range(seconds)]

    def figures(self, contender: str) -> list[Figure]:
        """What they cost."""
        p99_us = median(second.report.p99_us for second in self._each)
        cpu_ns = sum(second.cpu_ns for second in self._each) / sum(second.report.events for second in self._each)
        return [
            Figure(contender=contender, measure=_P99, value=p99_us / 1e3, unit="ms"),
            Figure(contender=contender, measure=_CPU, value=cpu_ns / 1e3, unit="µs"),
        ]


async def _run(bench: Bench) -> list[Figure]:
    if not bench.wants(OURS):
        return []
    seconds = max(1, round(_SECONDS * min(1.0, bench.scale)))
    quiet, stalled = _Seconds(), _Seconds()
    async with delivering(bench, OURS, sockets=bench.sized(_SOCKETS), topics=1) as delivery:
        await delivery.deliver(round(_RATE), _RATE)
        for _ in range(_TURNS):  # what drifts meanwhile falls on both alike
            bench.tell(f"stalled: {_NOBODY}")
            await quiet.go_on(delivery, seconds)
            bench.tell("stalled: one reader stalls")
            await _with_one_that_stalls(delivery, stalled, seconds)
        bench.tell(f"stalled: {_NOBODY}")
        await quiet.go_on(delivery, seconds)
    memory = Figure(contender=OURS, measure=_MEMORY, value=stalled.most_grown_bytes / 1_024, unit="KB")
    return [*stalled.figures(OURS), *quiet.figures(_NOBODY), memory]


async def _with_one_that_stalls(delivery: Delivery, stalled: _Seconds, seconds: int) -> None:
    """The same while somebody takes nothing, who reads all of it in the end."""
    port, child = delivery.contender.port, delivery.contender.child
    before = child.private_bytes()
    with contextlib.closing(await Staller.connect(port, delivery.contender.guest(agent(0)).path)) as staller:
        for _ in range(_MOST_FILLS):
            if await _reads_the_log(port):
                break
            await delivery.deliver(_FILL, _FILL_RATE)
        else:
            raise CannotBench("whoever takes nothing is not served from the log")
        await stalled.go_on(delivery, seconds)
        stalled.most_grown_bytes = max(stalled.most_grown_bytes, child.private_bytes() - before)
        await staller.read_up_to(delivery.published)


async def _reads_the_log(port: int) -> bool:
    """Tell whether the edge keeps nothing but the position of some reader."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(10):
            return any(map(int, _from_log(await reader.read())))
    finally:
        writer.close()


WORK = Work(
    name="stalled",
    about="1,000 sockets on one topic, 50 events a second, and one more that takes nothing.",
    contenders=(OURS,),
    baseline=_NOBODY,
    run=_run,
    targets=(
        Target(measure=_P99, at_most=1.1, times_baseline=True),
        Target(measure=_MEMORY, at_most=2_048),
    ),
)
