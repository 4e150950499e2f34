"""`idle`: the memory of a socket that waits."""

from __future__ import annotations

import asyncio

from mesh_cli.bench.contenders import EVERYBODY, NATS, Running, running
from mesh_cli.bench.delivery import OPEN_RATE, loading
from mesh_cli.bench.harness import Bench
from mesh_cli.bench.load import Load
from mesh_cli.bench.machine import allow_sockets
from mesh_cli.bench.publisher import agent
from mesh_cli.bench.work import Figure, Target, Work

ONE_TOPIC = "private memory a socket, one topic"
TOPIC_EACH = "private memory a socket, a topic for each"
_FEW = 200
_MANY = 5_000
_SETTLED_S = 1.0


async def _run(bench: Bench) -> list[Figure]:
    figures: list[Figure] = []
    for name in filter(bench.wants, WORK.contenders):
        for measure, topics in ((ONE_TOPIC, 1), (TOPIC_EACH, _MANY)):
            bench.tell(f"idle: {name}, {measure.rpartition(', ')[2]}")
            with bench.forgiving("idle", name):
                async with running(name, bench) as contender, loading(bench, contender) as load:
                    size = await _bytes_a_socket(bench, contender, load, topics)
                figures.append(Figure(contender=name, measure=measure, value=size / 1_024, unit="KB"))
    return figures


async def _bytes_a_socket(bench: Bench, contender: Running, load: Load, topics: int) -> float:
    """Give what each socket added beyond the first few, which also warm up what all share."""
    few, many = bench.sized(_FEW), bench.sized(_MANY)
    allow_sockets(many)
    guests = [contender.guest(agent(number % topics)) for number in range(many)]
    await load.open(guests[:few], rate=OPEN_RATE)
    await asyncio.sleep(_SETTLED_S * min(1.0, bench.scale))
    before = contender.child.private_bytes()
    await load.open(guests[few:], rate=OPEN_RATE)
    await asyncio.sleep(_SETTLED_S * min(1.0, bench.scale))
    return (contender.child.private_bytes() - before) / (many - few)


WORK = Work(
    name="idle",
    about="5,000 sockets that wait, on one topic and on a topic each.",
    contenders=EVERYBODY,
    baseline=NATS,
    run=_run,
    targets=(Target(measure=ONE_TOPIC, at_most=2.5), Target(measure=TOPIC_EACH, at_most=6)),
)
