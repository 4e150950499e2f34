"""`resume`: what it costs to give clients that come back what they missed, from the stored log."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from daena_mesh.settings import MeshSettings
from mesh_cli.bench.child import Child
from mesh_cli.bench.contenders import ours
from mesh_cli.bench.delivery import MOST_UNACKNOWLEDGED, loading
from mesh_cli.bench.harness import Bench
from mesh_cli.bench.machine import CannotBench, allow_sockets
from mesh_cli.bench.publisher import Published, agent
from mesh_cli.bench.work import OURS, Figure, Target, Work

_CLIENTS = 2_000
_COME_BACK_RATE = 20_000.0
_FILL_RATE = 20_000.0
_NEIGHBOUR_RATE = 200.0
_NEIGHBOUR_S = 4.0
_MARK = "agent.mark.activity"
_NOTHING = "nothing missed"
"""The same connecting without a replay: what publishers wait for anyway."""


@dataclass(frozen=True)
class Form:
    """Who comes back, and for what."""

    name: str
    topics: int
    events: int
    most_cpu_us: float


_FORMS = (Form("one topic", 1, 100, 0.7), Form("a topic for each", _CLIENTS, 20, 20))


@dataclass(frozen=True)
class _Return:
    """All clients came back once."""

    cpu_ns: int
    stall_ms: float


async def _run(bench: Bench) -> list[Figure]:
    if not bench.wants(OURS):
        return []
    figures = []
    clients = bench.sized(_CLIENTS)
    allow_sockets(clients)
    for form in _FORMS:
        topics = min(form.topics, clients)
        async with bench.mesh() as nats:
            before = await _mark(nats)
            await _publish(bench, nats, topics, topics * form.events)
            after = await _mark(nats)
            spent: dict[int, list[_Return]] = {0: [], form.events: []}
            there_and_back = (0, form.events, form.events, 0)  # what drifts meanwhile falls on both alike
            for events in there_and_back if bench.scale >= 1 else there_and_back[:2]:
                bench.tell(f"resume: {form.name}, {events} events missed")
                since = before if events else after
                spent[events].append(await _come_back(bench, nats, clients, topics, since=since, events=events))
        without, with_events = spent.values()
        extra_ns = sum(each.cpu_ns for each in with_events) - sum(each.cpu_ns for each in without)
        cpu_us = extra_ns / (len(with_events) * clients * form.events) / 1e3
        if cpu_us <= 0:
            bench.note(f"resume, {form.name}: connecting differed more from one time to the next than the events cost")
        figures += [
            Figure(contender=OURS, measure=_cpu(form), value=cpu_us, unit="µs"),
            Figure(contender=OURS, measure=_stall(form), value=max(each.stall_ms for each in with_events), unit="ms"),
            Figure(contender=_NOTHING, measure=_stall(form), value=max(each.stall_ms for each in without), unit="ms"),
        ]
    return figures


async def _come_back(bench: Bench, nats: NatsServer, clients: int, topics: int, *, since: str, events: int) -> _Return:
    """Let all clients connect at once to an edge that was just started, and somebody publish meanwhile."""
    async with (
        ours(bench, nats) as contender,
        loading(bench, contender) as load,
        _publisher(bench, nats, topics=1, prefix="n") as neighbour,
    ):
        guests = [contender.guest(agent(number % topics), since=since) for number in range(clients)]
        cpu_ns = contender.child.cpu_ns()
        await load.mark()
        neighbour.say(f"publish {bench.sized(_NEIGHBOUR_RATE * _NEIGHBOUR_S)} {_NEIGHBOUR_RATE} {MOST_UNACKNOWLEDGED}")
        await load.open(guests, rate=_COME_BACK_RATE, most_unfinished=clients)
        report = await load.until(clients * events)
        cpu_ns = contender.child.cpu_ns() - cpu_ns
        published = await neighbour.answer(Published)
    if events and (faults := report.faults(events)):
        raise CannotBench(f"{clients} clients that came back were not given {events} events each: {faults}")
    if report.events != clients * events:
        raise CannotBench(f"clients that came back were given {report.events} events, not {clients * events}")
    return _Return(cpu_ns, published.longest_ack_ms)


async def _mark(nats: NatsServer) -> str:
    """Store an event that nobody follows, and give its cursor."""
    async with Mesh(MeshSettings(nats_url=nats.url), name="bench") as mesh:
        return (await mesh.publish(_MARK, {"agent_id": "mark", "activity": {}})).cursor


async def _publish(bench: Bench, nats: NatsServer, topics: int, count: int) -> None:
    async with _publisher(bench, nats, topics=topics, prefix="b") as publisher:
        publisher.say(f"publish {count} {_FILL_RATE} {MOST_UNACKNOWLEDGED}")
        published = await publisher.answer(Published)
    if published.acked != count:
        raise CannotBench(f"NATS acknowledged {published.acked} of {count} events")


@contextlib.asynccontextmanager
async def _publisher(bench: Bench, nats: NatsServer, *, topics: int, prefix: str) -> AsyncIterator[Child]:
    command = [sys.executable, "-m", "mesh_cli.bench.publisher", str(nats.port), str(topics), prefix]
    async with bench.start("publisher", command, core=bench.cores.load) as child:
        yield child


def _cpu(form: Form) -> str:
    return f"CPU an event, {form.name}"


def _stall(form: Form) -> str:
    return f"longest wait of publishers, {form.name}"


WORK = Work(
    name="resume",
    about="2,000 clients come back at once: of one topic with 100 events, and of a topic each with 20.",
    contenders=(OURS,),
    baseline=_NOTHING,
    run=_run,
    targets=(
        *(Target(measure=_cpu(form), at_most=form.most_cpu_us) for form in _FORMS),
        *(Target(measure=_stall(form), at_most=100) for form in _FORMS),
    ),
)
