"""`connect`: what it costs to let a socket in."""

from __future__ import annotations

import secrets
import time

from daena_mesh.tokens import Claims, Rights, mint
from mesh_cli.bench.contenders import EVERYBODY, NATS, Running, running
from mesh_cli.bench.delivery import loading
from mesh_cli.bench.harness import Bench
from mesh_cli.bench.load import Guest
from mesh_cli.bench.machine import allow_sockets
from mesh_cli.bench.publisher import agent
from mesh_cli.bench.work import OURS, Figure, Target, Work

ONE_TOPIC = "CPU a connection, one topic"
TOPIC_EACH = "CPU a connection, a topic for each"
_FEW = 200
_MANY = 4_000
_RATE = 1_000.0
_TOKENS_LIVE_S = 3_600


async def _run(bench: Bench) -> list[Figure]:
    figures: list[Figure] = []
    few, many = bench.sized(_FEW), bench.sized(_MANY)
    allow_sockets(few + many)
    key = secrets.token_hex(32)
    for name in filter(bench.wants, WORK.contenders):
        for measure, topics in ((ONE_TOPIC, 1), (TOPIC_EACH, few + many)):
            bench.tell(f"connect: {name}, {measure.rpartition(', ')[2]}")
            with bench.forgiving("connect", name):
                async with running(name, bench, MESH_TOKEN_KEY=key) as contender, loading(bench, contender) as load:
                    guests = [guest_with_token(contender, key, number, topics) for number in range(few + many)]
                    await load.open(guests[:few], rate=_RATE)
                    cpu_ns = contender.child.cpu_ns()
                    await load.open(guests[few:], rate=_RATE)
                    cpu_ns = contender.child.cpu_ns() - cpu_ns
                figures.append(Figure(contender=name, measure=measure, value=cpu_ns / many / 1e3, unit="µs"))
    return figures


def guest_with_token(contender: Running, key: str, number: int, topics: int) -> Guest:
    """Describe a socket on one of so many topics, with a token of its own where there are tokens."""
    name = agent(number % topics)
    if contender.name != OURS:
        return contender.guest(name)
    rights = Rights(read=(f"agent.{name}.>", f"task.*.update.{name}"))
    claims = Claims(sub=f"user-{number}", exp=int(time.time()) + _TOKENS_LIVE_S, mesh=rights)
    return contender.guest(name, token=mint(claims, key.encode()))


WORK = Work(
    name="connect",
    about="4,000 sockets are let in at 1,000 a second; ours check a token for each, the others none.",
    contenders=EVERYBODY,
    baseline=NATS,
    run=_run,
    targets=(Target(measure=ONE_TOPIC, at_most=100),),
)
