"""What single steps cost, fitted to a part of what `mesh bench` measured."""

from __future__ import annotations

from dataclasses import replace
from math import log10

import msgspec

from mesh_cli.bench.contenders import LIMIT, NATS
from mesh_cli.bench.flood import FIRST_RATE, MOST_DELAY_US, MOST_RATE, RATE, STEP_S, Search
from mesh_cli.bench.machine import CannotBench
from mesh_cli.bench.outcome import Outcome
from mesh_cli.bench.work import OURS
from mesh_cli.capacity.edge import Load, Path, Steps, simulate
from mesh_cli.capacity.stream import Stream

CPU = "CPU a delivery"
LATE = "p99 of the delay"
WARM_EVENT_US = 2.9
"""An event of the one topic that stays in the cache: docs/experiments/hot-path.md."""
_LIMIT = Steps(turn_us=40.0, event_us=0.0, write_us=6.0, frame_us=0.0, read_bytes=65_536, rests=False)
"""The C program, before it is known what it takes."""
_NEAR = Path(p50_us=150.0, p99_us=280.0)
_DELIVERING = ("fanout", "direct", "crowd")
_FEW, _MANY = 1_000, 10_000
_HALVINGS = 12


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """In microseconds of one core unless they say otherwise; `fitted` says which work each is of.

    Attributes:
        turn_us: a turn of the loop: waking up, asking the kernel, what has left the caches meanwhile.
        write_us: one frame to one of 1,000 sockets.
        crowded_us: what that is more among 10,000, whose sockets are in no cache.
        frame_us: each frame more in the same write.
        event_us: an event whose topic was not touched for a thousand others.
        append_us: how long a stream's leader is at one event, without a sync; SIGNALS.
        trip_us: what else passes until the acknowledgement.
        synced_append_us: the same with a sync for each event; RECORDS.
        synced_trip_us: what else passes then.
        path_us: from publish to subscribe through NATS, the median.
        late_path_us: all but 1 %.
        read_us: what the load generator takes for a read.
        call_us: one chat call at an API.
        nats_us: what nats-server takes to hand one event to one connection, at most.
        connect_us: one socket that is let in, on a topic of its own.
        resume_us: one event from the log to a socket that comes back to a topic of its own.
        socket_kb: private memory of a socket, KB.
        topic_kb: of a topic, KB.
    """

    turn_us: float
    write_us: float
    crowded_us: float
    frame_us: float
    event_us: float
    append_us: float
    trip_us: float
    synced_append_us: float
    synced_trip_us: float
    path_us: float
    late_path_us: float
    read_us: float
    call_us: float
    nats_us: float
    connect_us: float
    resume_us: float
    socket_kb: float
    topic_kb: float

    @property
    def signals(self) -> Stream:
        """A stream without a sync for each event."""
        return Stream(append_us=self.append_us, trip_us=self.trip_us)

    @property
    def records(self) -> Stream:
        """A stream that syncs each event."""
        return Stream(append_us=self.synced_append_us, trip_us=self.synced_trip_us)

    @property
    def path(self) -> Path:
        """To an edge: stored, then as far as from publish to subscribe; from it to clients with a core of their own."""
        return Path(p50_us=self.path_us + self.append_us, p99_us=self.late_path_us + self.append_us)

    @property
    def bench_path(self) -> Path:
        """As in `mesh bench`, where one core reads all sockets."""
        return replace(self.path, read_us=self.read_us)

    def steps(self, sockets: float, topics: int) -> Steps:
        """Give what the steps of an edge cost with so many sockets and topics."""
        return Steps(
            turn_us=self.turn_us,
            event_us=WARM_EVENT_US if topics == 1 else self.event_us,
            write_us=self.write_us + self.crowded_us * _crowding(sockets),
            frame_us=self.frame_us,
        )


def _crowding(sockets: float) -> float:
    """Say how far from 1,000 sockets to 10,000 this is, as caches see it: 0 to 1, and 1 beyond."""
    return min(1.0, max(0.0, log10(max(sockets, 1) / _FEW) / log10(_MANY / _FEW)))


def measured(outcome: Outcome, work: str, measure: str, who: str = OURS) -> float:
    """Give a figure of an outcome. Raises `CannotBench` where it is not there."""
    for done in outcome.works:
        for each in done.measures:
            if (done.work, each.name) == (work, measure) and (value := each.value_of(who)) is not None:
                return value
    raise CannotBench(f"the outcome has no {work}, {measure}, of {who}: costs are fitted to a whole run of mesh bench")


def fitted(outcome: Outcome) -> Costs:
    """Fit costs to fanout, direct, idle, connect, resume and emit of ours, and to what the C program and NATS take."""

    def of(work: str, measure: str, who: str = OURS) -> float:
        return measured(outcome, work, measure, who)

    appended, synced = (1e6 / of("emit", f"{stream}, 64 at a time") for stream in ("signals", "records"))
    trip, synced_trip = (1e6 / of("emit", f"{stream}, one by one") for stream in ("signals", "records"))
    path_us = of("latency", "signals: p50", "bare") * 1e3
    late_path_us = of("latency", "signals: p99", "bare") * 1e3
    edge = fitted_edge(outcome)
    limit = replace(_LIMIT, turn_us=edge["turn_us"], write_us=of("fanout", CPU, LIMIT) - edge["turn_us"] / _FEW)
    # Its p99 is that of the 990th socket. Where reads take longer than writes, they are what it is made of.
    read_us = (of("fanout", LATE, LIMIT) * 1e3 - path_us - appended) / (0.99 * _FEW)
    path = Path(p50_us=path_us + appended, p99_us=late_path_us + appended, read_us=read_us)
    socket_kb = of("idle", "private memory a socket, one topic")
    return Costs(
        **edge,
        frame_us=_frame_us(limit, path, of("flood", RATE, LIMIT) / _FEW),
        append_us=appended,
        trip_us=trip - appended,
        synced_append_us=synced,
        synced_trip_us=synced_trip - synced,
        path_us=path_us,
        late_path_us=late_path_us,
        read_us=read_us,
        call_us=of("rest", "default sync: CPU a call"),
        nats_us=of("fanout", CPU, NATS),
        connect_us=of("connect", "CPU a connection, a topic for each"),
        resume_us=of("resume", "CPU an event, a topic for each"),
        socket_kb=socket_kb,
        topic_kb=of("idle", "private memory a socket, a topic for each") - socket_kb,
    )


def fitted_edge(outcome: Outcome) -> dict[str, float]:
    """Fit what an edge's steps cost, to fanout and direct, and to the C program in these and in crowd."""
    ours, theirs = ({work: measured(outcome, work, CPU, who) for work in _DELIVERING} for who in (OURS, LIMIT))
    load = Load(sockets=_FEW, topics=_FEW, rate=8_000)
    # In `direct` the C program does what it does in `fanout`, only that few events share a turn.
    turn_us = max(0.0, theirs["direct"] - theirs["fanout"]) * simulate(_LIMIT, _NEAR, load).events_a_turn
    write_us = ours["fanout"] - (turn_us + WARM_EVENT_US) / _FEW
    event_us = ours["direct"] - write_us
    # A turn's own cost is counted as the events' here; how many share it is what the simulation says.
    steps = Steps(turn_us=turn_us, event_us=event_us, write_us=write_us, frame_us=0.0)
    return {
        "turn_us": turn_us,
        "write_us": write_us,
        "crowded_us": max(0.0, theirs["crowd"] - theirs["fanout"]),
        "event_us": event_us - turn_us / simulate(steps, _NEAR, load).events_a_turn,
    }


def most_events(steps: Steps, path: Path, sockets: int, most: float = MOST_RATE) -> float:
    """Search as `mesh bench flood` does: the most events a second of one topic that come in time."""
    search, best = Search(FIRST_RATE, most), 0.0
    while (rate := search.rate) is not None:
        run = simulate(steps, path, Load(sockets=sockets, topics=1, rate=rate, seconds=STEP_S))
        p99_us = run.delay_ms(0.99) * 1e3
        if is_enough := p99_us <= MOST_DELAY_US:
            best = max(best, rate)
        search.note(rate, is_enough=is_enough, is_hopeless=p99_us > 10 * MOST_DELAY_US)
    return best


def _frame_us(limit: Steps, path: Path, events_a_second: float) -> float:
    """Find what a frame more must cost for the C program to have its p99 at the edge of too much at this rate."""
    least, most = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (least + most) / 2
        steps = replace(limit, frame_us=middle)
        run = simulate(steps, path, Load(sockets=_FEW, topics=1, rate=events_a_second, seconds=STEP_S))
        if run.delay_ms(0.99) * 1e3 <= MOST_DELAY_US:
            least = middle
        else:
            most = middle
    return least
