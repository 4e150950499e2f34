"""`fanout`, `crowd` and `direct`: what it costs to deliver one event to one socket."""

from __future__ import annotations

from mesh_cli.bench.contenders import EVERYBODY, LIMIT
from mesh_cli.bench.delivery import delivering
from mesh_cli.bench.harness import Bench
from mesh_cli.bench.work import OURS, Figure, Target, Work

CPU = "CPU a delivery"
_WARM_UP_S = 1.0
_SECONDS = 5.0


async def _deliver(bench: Bench, work: Work, *, sockets: int, topics: int, rate: float) -> list[Figure]:
    figures: list[Figure] = []
    share = min(1.0, bench.scale)
    for name in filter(bench.wants, work.contenders):
        bench.tell(f"{work.name}: {name}")
        with bench.forgiving(work.name, name):
            async with delivering(bench, name, sockets=sockets, topics=topics) as delivery:
                await delivery.deliver(max(1, round(rate * _WARM_UP_S * share)), rate)
                delivered = await delivery.deliver(max(1, round(rate * _SECONDS * share)), rate)
            delivery.note_bottleneck(work.name, delivered.load_share)
            report = delivered.report
            if report.p99_us > topics / rate * 1e6:
                bench.note(
                    f"{work.name}, {name}: events were so late that they piled up and several were written at once, "
                    "which makes each look cheaper than it is; the machine was busy with something else, or this is "
                    f"all that {name} can do"
                )
            figures += [
                Figure(contender=name, measure=CPU, value=delivered.cpu_ns / report.events / 1e3, unit="µs"),
                Figure(contender=name, measure="p99 of the delay", value=report.p99_us / 1e3, unit="ms"),
            ]
    return figures


async def _fanout(bench: Bench) -> list[Figure]:
    return await _deliver(bench, FANOUT, sockets=bench.sized(1_000), topics=1, rate=50)


async def _crowd(bench: Bench) -> list[Figure]:
    return await _deliver(bench, CROWD, sockets=bench.sized(10_000), topics=1, rate=5)


async def _direct(bench: Bench) -> list[Figure]:
    topics = bench.sized(1_000)
    return await _deliver(bench, DIRECT, sockets=topics, topics=topics, rate=bench.sized(8_000))


FANOUT = Work(
    name="fanout",
    about="One topic, 1,000 sockets, 50 events a second.",
    contenders=EVERYBODY,
    baseline=LIMIT,
    run=_fanout,
    targets=(Target(measure=CPU, at_most=1.15, times_baseline=True),),
)
CROWD = Work(
    name="crowd",
    about="One topic, 10,000 sockets, 5 events a second: the ratio is to be that of fanout.",
    contenders=(OURS, LIMIT),
    baseline=LIMIT,
    run=_crowd,
)
DIRECT = Work(
    name="direct",
    about="1,000 agents with one socket each, 8,000 events a second.",
    contenders=EVERYBODY,
    baseline=LIMIT,
    run=_direct,
    targets=(Target(measure=CPU, at_most=10),),
)
