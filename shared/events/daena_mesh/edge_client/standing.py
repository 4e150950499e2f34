"""Where a client stands in the log, and what the next frame means there: `sdk/js/positions.js`, in Python. Pure.

`tests/vectors/standing.json` holds both to the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from daena_mesh.cursors import Cursor
from daena_mesh.errors import InvalidCursor

Verdict = Literal["new", "known", "broken", "lost"]

_MOST_BREAKS = 3
_MOST_REMEMBERED = 1_000


def _read(text: object) -> Cursor | None:
    try:
        return Cursor.parse(text) if isinstance(text, str) else None
    except InvalidCursor:
        return None


def is_behind(a: Cursor | None, b: Cursor | None) -> bool:
    """Whether ``a`` is ``b`` or lies before it; False where they cannot be compared."""
    return a is not None and b is not None and a[:2] == b[:2] and a.seq <= b.seq


class Standing:
    """Where an application stands in each stream."""

    def __init__(self, since: str = "") -> None:
        """At positions such as ``Rk3f-120.Sp9a-88``; what is no cursor in it is left out."""
        found = [cursor for part in since.split(".") if (cursor := _read(part)) is not None]
        self._seen = {cursor.letter: cursor for cursor in found}
        self._floor = dict(self._seen)
        """Behind it nothing is remembered."""
        self._base: dict[str, Cursor] = {}
        """From where the server said that live frames go on."""
        self._recent: dict[str, dict[Cursor, None]] = {}
        self._breaks = 0

    @property
    def since(self) -> str:
        """The positions as ``since`` takes them; empty where nothing is known yet."""
        return ".".join(str(cursor) for cursor in {**self._base, **self._seen}.values())

    def start(self, cursors: Mapping[str, object]) -> None:
        """The client was greeted with these positions."""
        found = [cursor for text in cursors.values() if (cursor := _read(text)) is not None]
        self._base = {cursor.letter: cursor for cursor in found}

    def skip(self, to: object) -> None:
        """The server owes nothing before ``to`` any more."""
        if (cursor := _read(to)) is not None:
            self._seen.pop(cursor.letter, None)
            self._recent.pop(cursor.letter, None)
            self._floor[cursor.letter] = self._base[cursor.letter] = cursor

    def take(self, cursor: object = None, prev: object = None) -> Verdict:
        """Judge a frame, and stand on it unless it is ``known`` or ``broken``.

        - ``new``: hand it on
        - ``known``: was handed on before
        - ``broken``: something before it did not arrive; resume from `since`
        - ``lost``: resuming did not bring what is missing either; hand it on and tell of the gap
        """
        here, before = _read(cursor), _read(prev)
        if here is None:
            return "new"
        seen, base = self._seen.get(here.letter), self._base.get(here.letter)
        if is_behind(here, seen):
            return "new" if self._is_late(here) else "known"
        is_first = seen is None and base is None
        is_whole = not prev or is_first or is_behind(before, seen) or is_behind(before, base)
        if not is_whole:
            self._breaks += 1
            if self._breaks < _MOST_BREAKS:
                return "broken"
        if prev:  # a replayed frame proves nothing: the break may come again right after it
            self._breaks = 0
        self._seen[here.letter] = here
        self._remember(here)
        return "new" if is_whole else "lost"

    def _is_late(self, cursor: Cursor) -> bool:
        """An edge that finds a loss after it has shown later events shows what was lost then."""
        floor = self._floor.get(cursor.letter)
        is_above = floor is not None and floor[:2] == cursor[:2] and cursor.seq > floor.seq
        if cursor in self._recent.get(cursor.letter, ()) or not is_above:
            return False
        self._remember(cursor)
        return True

    def _remember(self, cursor: Cursor) -> None:
        recent = self._recent.setdefault(cursor.letter, {})
        recent[cursor] = None
        # What is older than all that a connection has brought was not missing in it.
        self._floor.setdefault(cursor.letter, self._base.get(cursor.letter, cursor))
        if len(recent) > _MOST_REMEMBERED:
            oldest = next(iter(recent))
            del recent[oldest]
            if not is_behind(oldest, self._floor[cursor.letter]):
                self._floor[cursor.letter] = oldest
