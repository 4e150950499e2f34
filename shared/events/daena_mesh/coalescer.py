"""Bursts made bearable: the first at once, the last always, and of what lies between them as much as a rate allows.

Pure: whoever uses it says what time it is, and sleeps.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Coalescer(Generic[T]):
    """Holds the newest item until it may go. One item at most, so memory is bounded whatever the rate."""

    __slots__ = ("_free_at", "_gap_s", "_held", "coalesced")

    def __init__(self, per_s: float) -> None:
        """``per_s`` is how many items may go in a second; raises `ValueError` unless it is positive."""
        if not per_s > 0:
            raise ValueError(f"at most {per_s} a second would be none at all")
        self.coalesced = 0
        """How many items never went, because a newer one took their place."""
        self._gap_s = 1 / per_s
        self._free_at = float("-inf")
        self._held: tuple[T] | None = None

    @property
    def due_at(self) -> float | None:
        """From when on the item that is held may go; None where nothing is held."""
        return None if self._held is None else self._free_at

    def offer(self, item: T) -> None:
        """Hold ``item``, in the place of what was held."""
        if self._held is not None:
            self.coalesced += 1
        self._held = (item,)

    def take(self, at: float) -> tuple[T] | None:
        """The item that is held, if it may go at the time ``at``, in seconds of a monotonic clock."""
        return self.last(at) if at >= self._free_at else None

    def last(self, at: float) -> tuple[T] | None:
        """The item that is held, whatever the time: for the end."""
        held, self._held = self._held, None
        if held is not None:
            self._free_at = at + self._gap_s
        return held
