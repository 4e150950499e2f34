"""Holds what an onlooker saw against what was acknowledged: what is lost, doubled, out of order, or made up.

Pure: it knows nothing of clocks, sockets and faults.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from tests.chaos.ledger import Book, Told, View

Kind = Literal["lost", "doubled", "reordered", "invented", "told"]
"""``told``: an acknowledged event is missing, but the onlooker was told so where it is missing."""


class Finding(NamedTuple):
    """Numbers that something is wrong with; both ends belong to it."""

    kind: Kind
    onlooker: str
    subject: str
    first: int
    last: int

    @property
    def size(self) -> int:
        """How many numbers."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        numbers = str(self.first) if self.first == self.last else f"{self.first} to {self.last}"
        return f"{self.onlooker}, {self.subject}: {numbers} {self.kind}"


def check(book: Book, view: View, *, is_ordered: bool = True) -> list[Finding]:
    """Everything that is wrong with ``view``.

    An onlooker has to see each acknowledged number from ``owed_from`` on, once, in order. What was tried and not
    acknowledged may be there or not. A gap that was told stands for what is missing between the number before it and
    the number after it, or all that follow. Where ``is_ordered`` is False, only the order counts for nothing.
    """
    seen: set[int] = set()
    excused: set[int] = set()
    doubled, reordered, invented = [], [], []
    highest, is_excused = view.owed_from - 1, False
    for item in view.track.items():
        if isinstance(item, Told):
            is_excused = True
            continue
        if item >= book.begun:
            invented.append(item)
        elif item in seen:
            doubled.append(item)
        elif item < highest and is_ordered:
            reordered.append(item)
        seen.add(item)
        if is_excused and item > highest:
            excused.update(range(highest + 1, item))
            is_excused = False
        highest = max(highest, item)
    if is_excused:
        excused.update(range(highest + 1, book.begun))
    missing = sorted(number for number in book.acked if number >= view.owed_from and number not in seen)
    kinds: list[tuple[Kind, list[int]]] = [
        ("lost", [number for number in missing if number not in excused]),
        ("told", [number for number in missing if number in excused]),
        ("doubled", sorted(doubled)),
        ("reordered", sorted(reordered)),
        ("invented", sorted(invented)),
    ]
    return [
        Finding(kind, view.onlooker, view.subject, first, last)
        for kind, numbers in kinds
        for first, last in _runs(numbers)
    ]


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Sorted numbers, those beside each other or equal taken together."""
    first = last = None
    for number in numbers:
        if first is None or last is None:
            first = last = number
        elif number <= last + 1:
            last = number
        else:
            yield first, last
            first = last = number
    if first is not None and last is not None:
        yield first, last
