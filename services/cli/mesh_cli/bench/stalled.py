"""`stalled`: what one reader that takes nothing costs the others of its topic, and the edge."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass
from statistics import fmean

from mesh_cli.bench.delivery import Delivered, Delivery, delivering
from mesh_cli.bench.harness import Bench
from mesh_cli.bench.machine import CannotBench
from mesh_cli.bench.publisher import agent
from mesh_cli.bench.staller import Staller
from mesh_cli.bench.work import OURS, Figure, Target, Work

_SOCKETS = 1_000
_RATE = 50.0
_SECONDS = 5.0
_WARM_UP_S = 1.0
_FILL, _FILL_RATE, _MOST_FILLS = 100, 200.0, 100
"""Events that the kernel and the edge hold for it before it has only its position."""
_NOBODY = "nobody stalls"
_P99, _CPU, _MEMORY = "p99 of the delay", "CPU a delivery", "memory that came on top"
_from_log = re.compile(rb'^mesh_edge_readers\{[^}]*state="from_log"[^}]*\} (\d+)', re.MULTILINE).findall


@dataclass(frozen=True)
class _Turn:
    """So many seconds of events."""

    delivered: Delivered
    grown_bytes: int

    @property
    def p99_ms(self) -> float:
        return self.delivered.report.p99_us / 1e3

    @property
    def cpu_us(self) -> float:
        return self.delivered.cpu_ns / self.delivered.report.events / 1e3


async def _run(bench: Bench) -> list[Figure]:
    if not bench.wants(OURS):
        return []
    share = min(1.0, bench.scale)
    count = max(1, round(_RATE * _SECONDS * share))
    async with delivering(bench, OURS, sockets=bench.sized(_SOCKETS), topics=1) as delivery:
        await delivery.deliver(max(1, round(_RATE * _WARM_UP_S * share)), _RATE)
        bench.tell(f"stalled: {_NOBODY}")
        before = await _turn(delivery, count)
        bench.tell("stalled: one reader stalls")
        stalled = await _with_one_that_stalls(delivery, count)
        bench.tell(f"stalled: {_NOBODY}")
        after = await _turn(delivery, count)  # what drifts meanwhile falls on both alike
    return [
        Figure(contender=OURS, measure=_P99, value=stalled.p99_ms, unit="ms"),
        Figure(contender=_NOBODY, measure=_P99, value=fmean([before.p99_ms, after.p99_ms]), unit="ms"),
        Figure(contender=OURS, measure=_CPU, value=stalled.cpu_us, unit="µs"),
        Figure(contender=_NOBODY, measure=_CPU, value=fmean([before.cpu_us, after.cpu_us]), unit="µs"),
        Figure(contender=OURS, measure=_MEMORY, value=max(1, stalled.grown_bytes) / 1_024, unit="KB"),
    ]


async def _turn(delivery: Delivery, count: int) -> _Turn:
    before = delivery.contender.child.private_bytes()
    delivered = await delivery.deliver(count, _RATE)
    return _Turn(delivered, delivery.contender.child.private_bytes() - before)


async def _with_one_that_stalls(delivery: Delivery, count: int) -> _Turn:
    """The same while somebody takes nothing, who reads all of it in the end."""
    before = delivery.contender.child.private_bytes()
    port = delivery.contender.port
    with contextlib.closing(await Staller.connect(port, delivery.contender.guest(agent(0)).path)) as staller:
        for _ in range(_MOST_FILLS):
            if await _reads_the_log(port):
                break
            await delivery.deliver(_FILL, _FILL_RATE)
        else:
            raise CannotBench("whoever takes nothing is not served from the log")
        turn = await _turn(delivery, count)
        turn = _Turn(turn.delivered, delivery.contender.child.private_bytes() - before)
        await staller.read_up_to(delivery.published)
    return turn


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
