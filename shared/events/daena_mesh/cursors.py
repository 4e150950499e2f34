"""Cursors: positions in the log, opaque to clients.

A cursor is the letter of a stream, the stream's epoch and a sequence, such as ``Rk3f-120``. The epoch changes when a
stream is recreated or restored, so a position from before cannot be mistaken for one of now. `Positions` are one
cursor for each stream, written ``Rk3f-120.Sp9a-88``.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from daena_mesh.errors import InvalidCursor

_parse = re.compile(r"([A-Z])([a-z0-9]{2,12})-(0|[1-9][0-9]{0,18})").fullmatch
_MAX_STREAMS = 8
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


def new_epoch() -> str:
    """A fresh epoch: six characters, so that two in a row are the same once in two billion."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(6))


class Cursor(NamedTuple):
    """The position of one event: everything in its stream up to ``seq`` lies behind it."""

    letter: str
    epoch: str
    seq: int

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read ``Rk3f-120``; raises `InvalidCursor`."""
        if found := _parse(text):
            return cls(found[1], found[2], int(found[3]))
        raise InvalidCursor(f"{text[:40]!a} is not a cursor such as 'Rk3f-120'")

    def __str__(self) -> str:
        return f"{self.letter}{self.epoch}-{self.seq}"


class Positions(Mapping[str, Cursor]):
    """One cursor for each stream, by the stream's letter. Immutable."""

    __slots__ = ("_cursors",)

    def __init__(self, cursors: Iterable[Cursor] = ()) -> None:
        self._cursors = {cursor.letter: cursor for cursor in cursors}

    @classmethod
    def parse(cls, text: str) -> Positions:
        """Read ``Rk3f-120.Sp9a-88``; of one stream given twice the later counts. Raises `InvalidCursor`."""
        parts = text.split(".", _MAX_STREAMS)
        if len(parts) > _MAX_STREAMS:
            raise InvalidCursor(f"since names more than {_MAX_STREAMS} streams")
        return cls(Cursor.parse(part) for part in parts)

    def __getitem__(self, letter: str) -> Cursor:
        return self._cursors[letter]

    def get(self, letter: str, default: Any = None) -> Any:
        """The cursor of a stream, or ``default``; that of `Mapping` raises and catches, for each socket that joins."""
        return self._cursors.get(letter, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._cursors)

    def __len__(self) -> int:
        return len(self._cursors)

    def __str__(self) -> str:
        return ".".join(str(cursor) for cursor in self._cursors.values())

    def __repr__(self) -> str:
        return f"Positions({str(self)!r})"
