"""`trust`: what tokens cost, for sockets that are let in, for events that are delivered, and for REST calls.

Ours run side by side, with tokens and without, and take turns: what else the machine does is the same to them. Events
are delivered one at a time, to the one and then to the other. Each pair has its ratio, and their median counts.

The same users come to both: to the one with tokens, to the other by their names (``?who=``), so that both announce
them. What it costs where nobody says who they are stands beside it.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from statistics import median
from typing import TypeVar

from daena_mesh.tokens import Claims, Rights, mint
from mesh_cli.bench.connect import guest_with_token
from mesh_cli.bench.contenders import Running, running
from mesh_cli.bench.delivery import Delivery, loading, publishing
from mesh_cli.bench.harness import Bench
from mesh_cli.bench.load import Load
from mesh_cli.bench.machine import allow_sockets
from mesh_cli.bench.publisher import agent
from mesh_cli.bench.rest import CALLERS, Contender, api, default_sync
from mesh_cli.bench.work import OURS, Figure, Target, Work

OPEN = "open"
NAMELESS = "nameless"
"""Without tokens, and nobody says who they are."""
FANOUT = "fan-out: CPU a delivery"
CONNECT = "connect: CPU a connection"
REST = "REST: CPU a call"
REST_RATE = "REST: calls"
_SLICES = 7
_SOCKETS = 300
"""In each slice."""
_RATE = 1_000.0
_EVENTS = 160
"""For each of them, one at a time: two that come in one turn would be one write."""
_CALLS = 1_200
_TOKENS_LIVE_S = 3_600

T = TypeVar("T")


class Edge:
    """One of the edges, with its sockets, which are all on one topic."""

    def __init__(
        self, bench: Bench, contender: Running, load: Load, delivery: Delivery, key: str, *, is_named: bool
    ) -> None:
        self._contender = contender
        self._load = load
        self._delivery = delivery
        self._key = key
        self._is_named = is_named
        self._sockets = bench.sized(_SOCKETS)
        self._opened = 0

    async def connect(self) -> float:
        """Let a slice of sockets in; what one of them cost, in microseconds."""
        first, self._opened = self._opened, self._opened + self._sockets
        if self._key:
            guests = [guest_with_token(self._contender, self._key, number, 1) for number in range(first, self._opened)]
        else:
            names = [f"user-{number}" * self._is_named for number in range(first, self._opened)]
            guests = [self._contender.guest(agent(0), who=name) for name in names]
        cpu_ns = self._contender.child.cpu_ns()
        await self._load.open(guests, rate=_RATE)
        return (self._contender.child.cpu_ns() - cpu_ns) / self._sockets / 1e3

    async def deliver(self) -> float:
        """Deliver an event to all sockets; what one delivery cost, in microseconds."""
        delivered = await self._delivery.deliver(1, _RATE)
        return delivered.cpu_ns / delivered.report.events / 1e3


async def _run(bench: Bench) -> list[Figure]:
    key = secrets.token_hex(32)
    keys = {name: key if name == OURS else "" for name in WORK.contenders if bench.wants(name)}
    sockets = await _sockets(bench, keys)
    return [*sockets, *await _calls(bench, {name: key for name, key in keys.items() if name != NAMELESS})]


async def _sockets(bench: Bench, keys: dict[str, str]) -> list[Figure]:
    costs: dict[tuple[str, str], list[float]] = {}
    sockets = bench.sized(_SOCKETS) * (_SLICES + 1)
    allow_sockets(len(keys) * sockets)
    async with AsyncExitStack() as stack:
        edges = {
            name: await stack.enter_async_context(_edge(bench, key, sockets, is_named=name != NAMELESS))
            for name, key in keys.items()
        }
        both = {name: edge for name, edge in edges.items() if name != NAMELESS}
        slices = {
            CONNECT: (edges, Edge.connect, _SLICES),
            FANOUT: (both, Edge.deliver, bench.sized(_EVENTS, least=3)),
        }
        for measure, (those, act, count) in slices.items():
            bench.tell(f"trust: {measure.partition(':')[0]}")
            for number in range(count + 1):
                for name, edge in _in_turn(those, number):
                    cost = await act(edge)
                    if number:  # the first one warms up
                        costs.setdefault((name, measure), []).append(cost)
    return [
        Figure(contender=name, measure=measure, value=value, unit="µs")
        for measure in (FANOUT, CONNECT)
        for name, value in paired({name: costs[name, measure] for name in keys if (name, measure) in costs}).items()
    ]


async def _calls(bench: Bench, keys: dict[str, str]) -> list[Figure]:
    bench.tell("trust: REST")
    figures = []
    async with AsyncExitStack() as stack:
        apis: dict[str, Contender] = {}
        for name, key in keys.items():
            nats_url = await stack.enter_async_context(default_sync(bench))
            settings = {"MESH_TOKEN_KEY": key} if key else {}
            calling = api(bench, nats_url, token=_token(key) if key else "", **settings)
            apis[name] = await stack.enter_async_context(calling)
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in apis}
        for number in range(_SLICES + 1):
            for name, called in _in_turn(apis, number):
                one = await called.take(bench.sized(_CALLS, least=CALLERS))
                taken[name] += [(one.cpu_us, one.rate)] if number else []
        for at, (measure, unit) in enumerate(((REST, "µs"), (REST_RATE, "/s"))):
            found = paired({name: [one[at] for one in slices] for name, slices in taken.items()})
            figures += [Figure(contender=name, measure=measure, value=found[name], unit=unit) for name in taken]
    return figures


def paired(costs: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of those without tokens, and for each other as much more as the median of all pairs' ratios.

    Other programs slow a pair down as a whole. The ratio of two medians would be of slices that have nothing to do with
    each other.
    """
    found = {name: median(values) for name, values in costs.items()}
    if OPEN in costs:
        for name in costs.keys() - {OPEN}:
            ratios = [one / other for one, other in zip(costs[name], costs[OPEN], strict=True)]
            found[name] = found[OPEN] * median(ratios)
    return found


def _in_turn(those: dict[str, T], number: int) -> list[tuple[str, T]]:
    """All of them, the last one first each time."""
    return list(those.items())[:: -1 if number % 2 else 1]


def _token(key: str) -> str:
    rights = Rights(read=("chat.bench.>",), write=("chat.bench.>",))
    return mint(Claims(sub="user", exp=int(time.time()) + _TOKENS_LIVE_S, mesh=rights), key.encode())


@contextlib.asynccontextmanager
async def _edge(bench: Bench, key: str, sockets: int, *, is_named: bool) -> AsyncIterator[Edge]:
    settings = {"MESH_TOKEN_KEY": key} if key else {}
    async with (
        running(OURS, bench, **settings) as contender,
        loading(bench, contender, rests=True) as load,
        publishing(bench, contender, 1) as publisher,
    ):
        delivery = Delivery(bench, contender, load, publisher, sockets=sockets, topics=1)
        yield Edge(bench, contender, load, delivery, key, is_named=is_named)


WORK = Work(
    name="trust",
    about="Ours with tokens, beside ours without: 300 sockets at a time come in; 160 events go to 2,400; chat calls.",
    contenders=(OURS, OPEN, NAMELESS),
    baseline=OPEN,
    run=_run,
    targets=(
        Target(measure=FANOUT, at_most=1.05, times_baseline=True),
        Target(measure=CONNECT, at_most=1.15, times_baseline=True),
        Target(measure=REST, at_most=1.15, times_baseline=True),
        Target(measure=REST_RATE, at_least=0.87, times_baseline=True),
    ),
)
