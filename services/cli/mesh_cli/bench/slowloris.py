"""`slowloris`: what a thousand half-open handshakes, dripping a byte now and then, cost those who are connected."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from statistics import median

from mesh_cli.bench.delivery import Delivered, Delivery, delivering
from mesh_cli.bench.harness import Bench
from mesh_cli.bench.machine import allow_sockets
from mesh_cli.bench.work import OURS, Figure, Target, Work

_SOCKETS = 1_000
_HALF_OPEN = 1_000
_RATE = 50.0
_TURNS = 3
_SECONDS = 4
_DRIP_S = 1.0
_HEAD = b"GET /ws/events HTTP/1.1\r\nHost: localhost\r\nUpgrade: webso"
_NOBODY = "nobody drips"
_P99, _CPU = "p99 of the delay", "CPU a delivery"


async def _run(bench: Bench) -> list[Figure]:
    if not bench.wants(OURS):
        return []
    seconds = max(1, round(_SECONDS * min(1.0, bench.scale)))
    half_open = bench.sized(_HALF_OPEN)
    allow_sockets(half_open + bench.sized(_SOCKETS))
    taken: dict[str, list[Delivered]] = {OURS: [], _NOBODY: []}
    async with delivering(bench, OURS, sockets=bench.sized(_SOCKETS), topics=1) as delivery:
        await delivery.deliver(round(_RATE), _RATE)
        for _ in range(_TURNS):  # what drifts meanwhile falls on both alike
            bench.tell(f"slowloris: {_NOBODY}")
            taken[_NOBODY] += await _deliver(delivery, seconds)
            bench.tell(f"slowloris: {half_open:,} half-open handshakes")
            async with _dripping(delivery.contender.port, half_open):
                taken[OURS] += await _deliver(delivery, seconds)
    return [figure for name, each in taken.items() for figure in _figures(name, each)]


async def _deliver(delivery: Delivery, seconds: int) -> list[Delivered]:
    return [await delivery.deliver(round(_RATE), _RATE) for _ in range(seconds)]


def _figures(name: str, each: list[Delivered]) -> list[Figure]:
    """Each second has a p99 of its own, and their median counts: one hiccup of the machine is not looked for."""
    cpu_ns = sum(second.cpu_ns for second in each) / sum(second.report.events for second in each)
    p99_us = median(second.report.p99_us for second in each)
    return [
        Figure(contender=name, measure=_P99, value=p99_us / 1e3, unit="ms"),
        Figure(contender=name, measure=_CPU, value=cpu_ns / 1e3, unit="µs"),
    ]


@contextlib.asynccontextmanager
async def _dripping(port: int, count: int) -> AsyncIterator[None]:
    """Keep so many handshakes half open: who is closed comes again."""
    opened = asyncio.Semaphore(0)

    async def drip() -> None:
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                opened.release()
                try:
                    writer.write(_HEAD)
                    while not writer.is_closing():
                        await asyncio.sleep(_DRIP_S)
                        writer.write(b"x")
                        await writer.drain()
                finally:
                    writer.close()

    dripping = [asyncio.create_task(drip(), name="half-open handshake") for _ in range(count)]
    try:
        for _ in dripping:
            await opened.acquire()
        yield
    finally:
        for task in dripping:
            task.cancel()
        await asyncio.gather(*dripping, return_exceptions=True)


WORK = Work(
    name="slowloris",
    about="1,000 sockets on one topic, 50 events a second, beside 1,000 handshakes that never come to an end.",
    contenders=(OURS,),
    baseline=_NOBODY,
    run=_run,
    targets=(Target(measure=_P99, at_most=2, times_baseline=True),),
)
