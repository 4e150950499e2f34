"""How long something takes, counted in buckets: a few cheap steps for each observation."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """Counts of durations by upper bounds, as Prometheus has them."""

    __slots__ = ("_counts", "bounds", "total_s")

    def __init__(self, bounds: Sequence[float] = BOUNDS_S) -> None:
        """``bounds`` are in seconds, rising."""
        self.bounds = tuple(bounds)
        self.total_s = 0.0
        self._counts = [0] * (len(self.bounds) + 1)

    def note(self, seconds: float) -> None:
        """It took so long; what is below nothing, by clocks that differ, counts as nothing."""
        seconds = max(0.0, seconds)
        self._counts[bisect_left(self.bounds, seconds)] += 1
        self.total_s += seconds

    @property
    def count(self) -> int:
        """How often."""
        return sum(self._counts)

    def counts(self) -> tuple[int, ...]:
        """How often it took at most so long and longer than the bound before, and how often longer than the last."""
        return tuple(self._counts)

    def buckets(self) -> list[tuple[str, int]]:
        """How often it took at most so long, for each bound and in all."""
        found, below = [], 0
        for bound, count in zip((*map(repr, self.bounds), "+Inf"), self._counts, strict=True):
            below += count
            found.append((bound, below))
        return found
