"""`latency`: how long an event takes to a browser's socket, beside what NATS alone takes."""

from __future__ import annotations

import statistics
import sys

from mesh_cli.bench.contenders import running
from mesh_cli.bench.harness import Bench
from mesh_cli.bench.traveller import Travelled
from mesh_cli.bench.work import OURS, Figure, Target, Work

BARE = "bare"
SIGNALS, RECORDS = "signals: p50", "records: p50"
_STREAMS = ("signals", "records")
_EVENTS = 150
_SLICES = 5
"""Both take turns within a round, so that what else the machine does is the same to them."""


async def _run(bench: Bench) -> list[Figure]:
    travelled: dict[tuple[str, str], list[Travelled]] = {}
    async with running(OURS, bench) as edge:
        command = [sys.executable, "-m", "mesh_cli.bench.traveller", f"nats://127.0.0.1:{edge.nats_port}"]
        async with bench.start("traveller", [*command, str(edge.port)], core=bench.cores.load) as traveller:
            bench.tell("latency: both in turn")
            for _ in range(_SLICES):
                for stream in _STREAMS:
                    for name in filter(bench.wants, WORK.contenders):
                        traveller.say(f"{stream} {name} {bench.sized(_EVENTS, least=5)}")
                        travelled.setdefault((name, stream), []).append(await traveller.answer(Travelled))
    figures = []
    for (name, stream), slices in travelled.items():
        p50, p99 = (statistics.median(one) for one in zip(*((s.middle_ms, s.p99_ms) for s in slices), strict=True))
        figures += [
            Figure(contender=name, measure=f"{stream}: p50", value=p50, unit="ms"),
            Figure(contender=name, measure=f"{stream}: p99", value=p99, unit="ms"),
        ]
    return figures


WORK = Work(
    name="latency",
    about="From publishing an event to a browser's socket; bare is NATS publish and subscribe, and one js.publish.",
    contenders=(OURS, BARE),
    baseline=BARE,
    run=_run,
    targets=(
        Target(measure=SIGNALS, at_most=3, times_baseline=True),
        Target(measure=RECORDS, at_most=1.5, times_baseline=True),
    ),
)
