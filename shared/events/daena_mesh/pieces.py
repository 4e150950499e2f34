"""Pieces: the text of a stream as it grows, and which part of it goes out when. Pure."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable

import msgspec

from daena_mesh.errors import InvalidEvent

EVERY_S = 0.03
"""How far apart pieces with text are."""
BEAT_S = 5.0
"""How long nothing is sent before an empty piece says that the writer lives."""
FIRST_BEAT_S = 0.3
"""The same before the first piece of all."""
RENEW_AFTER_S = 480.0
"""How long a run lasts. After it all is sent anew, so that nothing of a long text has expired before its end."""
MOST_CHARACTERS = 8_192
"""What a piece has at most: with every character escaped it still fits into an event."""

_encode = msgspec.json.Encoder().encode


class Piece(msgspec.Struct, frozen=True):
    """What a `ChatDelta` carries."""

    run: str
    index: int
    text: str


def size_bytes(text: str) -> int:
    """How many bytes ``text`` takes within a JSON string; raises `InvalidEvent` where it is none."""
    try:
        return len(_encode(text)) - 2
    except UnicodeEncodeError as error:
        raise InvalidEvent(f"the text cannot be written as UTF-8: {error}") from None


def fitting(text: str, room_bytes: int) -> str:
    """The beginning of ``text`` that takes ``room_bytes`` at most within a JSON string; raises `InvalidEvent`."""
    if size_bytes(text) <= room_bytes:
        return text
    low, high = 0, len(text)  # `low` characters fit, `high` do not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size_bytes(text[:middle]) <= room_bytes else (low, middle)
    return text[:low]


class Pieces:
    """A text, and what of it was sent. Times are seconds of one clock."""

    def __init__(self, now: float, *, new_run: Callable[[], str] = lambda: secrets.token_hex(4)) -> None:
        self.size_bytes = 0
        """What the text takes within a JSON string."""
        self._new_run = new_run
        self._written: list[str] = []
        self._sent_at = -math.inf
        self._has_sent_text = False
        self._begin(now)

    def _begin(self, now: float) -> None:
        self.run = self._new_run()
        self._begun_at = now
        self._index = 0
        self._waiting = self.text

    @property
    def text(self) -> str:
        """All that was written."""
        return "".join(self._written)

    @property
    def is_waiting(self) -> bool:
        """Whether there is text that was not sent."""
        return bool(self._waiting)

    def write(self, text: str) -> None:
        """More text; raises `InvalidEvent` where it is no Unicode."""
        self.size_bytes += size_bytes(text)
        self._written.append(text)
        self._waiting += text

    @property
    def due_at(self) -> float:
        """When the next piece should go out, if nothing more is written."""
        if self._waiting:
            return self._sent_at + EVERY_S if self._has_sent_text else self._begun_at
        if self._sent_at == -math.inf:
            return self._begun_at + FIRST_BEAT_S
        return self._sent_at + BEAT_S

    def renew(self, now: float) -> None:
        """Send all of the text anew, as another run: some of what was sent is not there any more."""
        self._begin(now)

    def take(self, now: float) -> Piece:
        """The next piece, perhaps an empty one."""
        if now - self._begun_at > RENEW_AFTER_S:
            self._begin(now)
        text, self._waiting = self._waiting[:MOST_CHARACTERS], self._waiting[MOST_CHARACTERS:]
        self._has_sent_text = self._has_sent_text or bool(text)
        piece = Piece(self.run, self._index, text)
        self._index += 1
        self._sent_at = now
        return piece
