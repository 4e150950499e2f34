"""What was acknowledged to publishers, and what each onlooker saw: numbers on subjects, in the order they came in.

On each subject the events are numbered from 0 on. A publisher begins with a number only when the one before it was
acknowledged, so the numbers lie in the log in their order.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


class Run(NamedTuple):
    """Numbers that came one after the other, without a hole; both ends belong to it."""

    first: int
    last: int


class Told(NamedTuple):
    """Here the onlooker was told that something is missing."""

    reason: str


class Track:
    """What one onlooker saw on one subject; as short as what went well."""

    __slots__ = ("entries",)

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self.entries: list[Run | Told] = []
        for number in numbers:
            self.saw(number)

    def saw(self, number: int) -> None:
        """A number came."""
        entries = self.entries
        if entries and isinstance(last := entries[-1], Run) and last.last + 1 == number:
            entries[-1] = Run(last.first, number)
        else:
            entries.append(Run(number, number))

    def has(self, number: int) -> bool:
        """Whether this number came."""
        return any(entry.first <= number <= entry.last for entry in self.entries if isinstance(entry, Run))

    def told(self, reason: str) -> None:
        """A gap was told."""
        self.entries.append(Told(reason))

    def items(self) -> Iterator[int | Told]:
        """Everything, one by one."""
        for entry in self.entries:
            if isinstance(entry, Told):
                yield entry
            else:
                yield from range(entry.first, entry.last + 1)


@dataclass
class Book:
    """What the publisher of one subject knows."""

    subject: str
    begun: int = 0
    """How many numbers it has tried to store."""
    acked: set[int] = field(default_factory=set)
    acked_at: array[float] = field(default_factory=lambda: array("d"))
    """When each number was acknowledged, in seconds; by number, where numbers are acknowledged in their order."""

    def begin(self) -> int:
        """Take the next number."""
        self.begun += 1
        return self.begun - 1

    def acknowledge(self, number: int, at: float) -> None:
        """It was stored."""
        self.acked.add(number)
        self.acked_at.append(at)


class View(NamedTuple):
    """One onlooker on one subject."""

    onlooker: str
    subject: str
    owed_from: int
    """The first number that this onlooker has a right to: those before it may be missing."""
    track: Track
