"""How far a task has come, how fast it goes, and when it will be done: pure."""

from __future__ import annotations

from collections import deque

import msgspec

WINDOW_S = 30.0
"""The rate is that of the last half a minute: what was long ago says little about when the task will be done."""

_SAMPLE_S = 1.0
_SOON_S = 0.5
"""What is done within the first moments says nothing."""
_MOST = 2**53


class ProgressState(msgspec.Struct, frozen=True):
    """What a `task.update` says of the progress."""

    done: float
    total: float | None
    rate: float | None
    """Units a second; None before anything was done, and in the first half of a second."""
    eta_s: float | None
    """Seconds until the total is reached at this rate; None where that cannot be told."""
    note: str | None


class Progress:
    """Counts what is done."""

    def __init__(self, total: float | None, *, at: float) -> None:
        """``at`` is the time now, in seconds of a monotonic clock. Raises `ValueError`."""
        self.total: float | None = None
        self.expect(total)
        self.done: float = 0
        self.note: str | None = None
        self._samples: deque[tuple[float, float]] = deque([(at, 0.0)])

    def expect(self, total: float | None) -> None:
        """There is ``total`` to do; raises `ValueError` where that is no number from 0 to 2**53."""
        self.total = None if total is None else _number(total, "total")

    def advance(self, n: float, *, at: float) -> None:
        """``n`` more are done; raises `ValueError` where that is no number from 0 to 2**53."""
        self.done = _number(self.done + _number(n, "n"), "what is done")
        if at - self._samples[-1][0] >= _SAMPLE_S:
            self._samples.append((at, self.done))
            while len(self._samples) > 2 and self._samples[1][0] <= at - WINDOW_S:
                self._samples.popleft()

    def state(self, at: float) -> ProgressState:
        """How it stands."""
        rate, left = self._rate(at), None if self.total is None else max(0.0, self.total - self.done)
        eta_s = None
        if left == 0:
            eta_s = 0.0
        elif left is not None and rate:
            eta_s = round(left / rate, 1)
        return ProgressState(self.done, self.total, None if rate is None else _rounded(rate), eta_s, self.note)

    def _rate(self, at: float) -> float | None:
        since, before = self._samples[0]
        if self.done <= 0 or at - since < _SOON_S:
            return None
        return (self.done - before) / (at - since)


def _number(value: float, what: str) -> float:
    if not 0 <= value <= _MOST:  # so that every reader of JSON finds the same
        raise ValueError(f"{what} must be a number from 0 to 2**53, not {value!r}")
    return value


def _rounded(rate: float) -> float:
    """To four digits that count, whatever its size."""
    return float(f"{rate:.4g}")
