"""One stream's write path in simulation: writers that wait for their acknowledgements, and a leader that stores."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Stream:
    """What one append costs, in microseconds.

    Attributes:
        append_us: how long the leader stores one event, one after the other.
        trip_us: what else passes from publishing to the acknowledgement; many share it.
    """

    append_us: float
    trip_us: float

    @property
    def most_a_second(self) -> float:
        """The wall: no number of writers stores more."""
        return 1e6 / self.append_us


@dataclass(frozen=True)
class Written:
    """What came of it: how often a second all writers together were done, and how long one took."""

    a_second: float
    p50_ms: float


def write(stream: Stream, *, writers: int, appends: int = 1, work_us: float = 0.0, times: int = 4_000) -> Written:
    """Let writers work and append, one append after the other each, and begin anew at once.

    Args:
        stream: what they write to.
        writers: how many are under way.
        appends: how many each makes before it is done.
        work_us: processor time of one, all on one core: that of an API for a call.
        times: how often, all together.
    """
    core_free = leader_free = 0.0
    done: list[float] = []
    took: list[float] = []
    queue = [(0.0, writer, -1, 0.0) for writer in range(writers)]
    """When what happens next happens, to whom, how many of its appends are made (-1: not begun), when it began."""
    while len(done) < times:
        at, writer, made, began = heapq.heappop(queue)
        if made < 0:
            core_free = max(at, core_free) + work_us
            heapq.heappush(queue, (core_free, writer, 0, began))
            continue
        if made < appends:
            leader_free = max(at + stream.trip_us / 2, leader_free) + stream.append_us
            heapq.heappush(queue, (leader_free + stream.trip_us / 2, writer, made + 1, began))
            continue
        done.append(at)
        took.append(at - began)
        heapq.heappush(queue, (at, writer, -1, at))
    return Written(times / done[-1] * 1e6, median(took) / 1e3)
