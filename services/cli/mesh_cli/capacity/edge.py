"""An edge in simulation: what NATS sends, turns of its event loop, one write a socket and turn, rests."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil, log

from mesh_edge.fanout import rest_s

MESSAGE_BYTES = 500
"""Of an event as NATS sends it to an edge in `mesh bench`: subject, the server's headers, a body of 250."""
FRAME_BYTES = 400
"""Of the same event as an edge sends it to a socket."""
_MOST_AT_ONCE = 65_536
_TICK_S = 0.001
_STRATA = 25
"""Of the sockets that a turn writes to, how many have their delays noted."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What single steps cost one program that writes to sockets, in microseconds.

    Attributes:
        turn_us: a turn of the loop, whatever it brings.
        event_us: an event, from the bytes of NATS to a frame.
        write_us: a write of one frame to one socket.
        frame_us: each frame more in that write.
        read_bytes: the most that one turn takes from NATS.
        rests: whether NATS is left unread after busy turns.
    """

    turn_us: float
    event_us: float
    write_us: float
    frame_us: float
    read_bytes: int = 256_000
    rests: bool = True


@dataclass(frozen=True, kw_only=True)
class Path:
    """What lies on both sides of an edge, in microseconds.

    Attributes:
        p50_us: how long an event is under way before the edge can read it, half of them.
        p99_us: all but 1 %.
        read_us: one read where one core reads all sockets, as in `mesh bench`; 0 where each client has its own.
    """

    p50_us: float
    p99_us: float
    read_us: float = 0.0

    def delays_s(self) -> Iterator[float]:
        """Draw delays: a least one, and an exponential tail through both quantiles; the same ones each time."""
        tail_us = max(0.0, self.p99_us - self.p50_us) / log(50)
        least_us = max(0.0, self.p50_us - tail_us * log(2))
        chance = random.Random(1)
        while True:
            yield (least_us - tail_us * log(1 - chance.random())) / 1e6


@dataclass(frozen=True, kw_only=True)
class Load:
    """Events in turn to a number of topics, each of which has its share of the sockets."""

    sockets: float
    topics: int
    rate: float
    seconds: float = 2.0


@dataclass
class Run:
    """What came of it."""

    worked_s: float = 0.0
    lasted_s: float = 0.0
    turns: int = 0
    events: int = 0
    deliveries: float = 0.0
    _delays: list[tuple[float, float]] = field(default_factory=list)

    @property
    def delivery_us(self) -> float:
        """Processor time of a delivery."""
        return self.worked_s / self.deliveries * 1e6

    @property
    def busy(self) -> float:
        """Of the time, how much the core worked."""
        return self.worked_s / self.lasted_s

    @property
    def events_a_turn(self) -> float:
        """How many events were written together."""
        return self.events / self.turns

    def note_delays(self, count: int, first_s: float, last_s: float) -> None:
        """``count`` events reached their first socket so late, and their last one; those between lie between."""
        step = (last_s - first_s) / _STRATA
        self._delays += [(first_s + (stratum + 0.5) * step, count) for stratum in range(_STRATA)]

    def delay_ms(self, share: float) -> float:
        """Give the delay that this share of all deliveries does not exceed."""
        left = share * sum(weight for _, weight in self._delays)
        for delay_s, weight in sorted(self._delays):
            left -= weight
            if left <= 0:
                return delay_s * 1e3
        return 0.0


def simulate(steps: Steps, path: Path, load: Load) -> Run:
    """Let an edge work through a load, until the last socket has the last event."""
    run = Run()
    waiting = _Arrivals(path, load)
    most = max(1, steps.read_bytes // MESSAGE_BYTES)
    sockets = load.sockets / load.topics
    now = ended = rested = was_read = 0.0
    while (at := waiting.next_s) is not None:
        began = max(now, at)
        taken = waiting.take(began, most)
        events = sum(count for _, count in taken)
        topics = min(events, load.topics)
        writes = max(1, ceil(events / topics * FRAME_BYTES / _MOST_AT_ONCE))
        handled_s = (steps.turn_us + events * steps.event_us) / 1e6
        more_frames = max(0.0, events - topics * writes)
        wrote_s = sockets * (topics * writes * steps.write_us + more_frames * steps.frame_us) / 1e6
        writing = began + handled_s
        now = writing + wrote_s
        reading = max(writing, was_read) + path.read_us / 1e6
        was_read = max(now, reading + (sockets * topics * writes - 1) * path.read_us / 1e6)
        for published, count in taken:
            run.note_delays(count, reading - published, was_read - published)
        run.turns += 1
        run.events += events
        run.worked_s += handled_s + wrote_s
        rested = rest_s(wrote_s, events, writing - ended, rested) if steps.rests else 0.0
        now = ended = now + rested
    run.deliveries = run.events * sockets
    run.lasted_s = max(load.seconds, ended)
    return run


class _Arrivals:
    """Events as a publisher sends them, a batch each millisecond, in the order in which they come to the edge."""

    def __init__(self, path: Path, load: Load) -> None:
        self._batches = self._make(path, load)
        self._next = next(self._batches, None)

    @property
    def next_s(self) -> float | None:
        """When there is something to read; None when all was read."""
        return None if self._next is None else self._next[0]

    def take(self, now: float, most: int) -> list[tuple[float, int]]:
        """Read what has come by ``now``, ``most`` events at most: when it was published, and how many."""
        taken = []
        while self._next is not None and most and self._next[0] <= now:
            came, published, count = self._next
            read = min(count, most)
            most -= read
            taken.append((published, read))
            self._next = (came, published, count - read) if read < count else next(self._batches, None)
        return taken

    @staticmethod
    def _make(path: Path, load: Load) -> Iterator[tuple[float, float, int]]:
        sent, came = 0, 0.0
        total = max(1, round(load.rate * load.seconds))
        pause = max(_TICK_S, 1 / load.rate)
        for tick, delay_s in enumerate(path.delays_s()):
            published = tick * pause
            due = min(total, int(published * load.rate + 1e-9) + 1)
            if due > sent:
                came = max(came, published + delay_s)  # one connection keeps their order
                yield came, published, due - sent
                sent = due
            if sent == total:
                return
