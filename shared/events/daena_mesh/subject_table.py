"""Messages by the words of their subjects: what a pattern matches is looked up, not compared.

Patterns that have their words at the same places, such as ``chat.s1.>`` and ``chat.s2.>``, share one dictionary. So
each of thousands of patterns costs a look-up, whatever the number of subjects.
"""

from __future__ import annotations

from typing import NamedTuple

from daena_mesh.stored import Stored


class _Shape(NamedTuple):
    """Where a pattern has its words."""

    places: tuple[int, ...]
    depth: int
    """The number of tokens before a tail."""
    has_tail: bool
    """Whether it ends with ``>``."""

    def key(self, words: list[bytes]) -> tuple[bytes, ...] | None:
        """The words at these places, None where a subject of ``words`` does not have this shape."""
        if len(words) > self.depth if self.has_tail else len(words) == self.depth:
            return tuple([words[place] for place in self.places])
        return None


class SubjectTable:
    """Messages of one stream, in its order, by subject."""

    __slots__ = ("_rows", "_shapes")

    def __init__(self) -> None:
        self._rows: dict[bytes, list[Stored]] = {}
        self._shapes: dict[_Shape, dict[tuple[bytes, ...], list[bytes]]] = {}

    def add(self, message: Stored) -> None:
        """Take a message that is newer than all before it."""
        if (row := self._rows.get(message.subject)) is None:
            row = self._rows[message.subject] = []
            words = message.subject.split(b".")
            for shape, subjects in self._shapes.items():
                if (key := shape.key(words)) is not None:
                    subjects.setdefault(key, []).append(message.subject)
        row.append(message)

    def rows(self, pattern: str) -> dict[bytes, list[Stored]]:
        """The messages on each subject that ``pattern`` matches."""
        words = pattern.encode().split(b".")
        if has_tail := words[-1] == b">":
            del words[-1]
        shape = _Shape(tuple(i for i, word in enumerate(words) if word != b"*"), len(words), has_tail)
        if (subjects := self._shapes.get(shape)) is None:
            subjects = self._shapes[shape] = self._sort(shape)
        found = subjects.get(tuple([words[place] for place in shape.places]), ())
        return {subject: self._rows[subject] for subject in found}

    def _sort(self, shape: _Shape) -> dict[tuple[bytes, ...], list[bytes]]:
        subjects: dict[tuple[bytes, ...], list[bytes]] = {}
        for subject in self._rows:
            if (key := shape.key(subject.split(b"."))) is not None:
                subjects.setdefault(key, []).append(subject)
        return subjects
