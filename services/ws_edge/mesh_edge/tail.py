"""What a topic has shown lately, for as long as somebody may join behind it. Bounded: the log has it too."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

MOST_EVENTS = 4_096
MOST_BYTES = 1_048_576


class Shown(NamedTuple):
    """An event that was shown."""

    stream: str
    seq: int
    before: int
    """The position of the topic before it."""
    frame: bytes


class Tail:
    """The newest events of a topic, in the order in which they were shown."""

    __slots__ = ("_bytes", "_forgotten", "_shown")

    def __init__(self) -> None:
        self._shown: deque[Shown] = deque()
        self._bytes = 0
        self._forgotten: dict[str, int] = {}
        """For each stream the newest event that was shown, and is remembered no longer."""

    @property
    def is_untouched(self) -> bool:
        """Whether nothing was shown at all."""
        return not self._shown and not self._forgotten

    def add(self, shown: Shown) -> None:
        """Remember one more, and forget the oldest where they become too many."""
        self._shown.append(shown)
        self._bytes += len(shown.frame)
        while len(self._shown) > MOST_EVENTS or self._bytes > MOST_BYTES:
            oldest = self._shown.popleft()
            self._bytes -= len(oldest.frame)
            self._forgotten[oldest.stream] = max(oldest.seq, self._forgotten.get(oldest.stream, 0))

    def behind(self, positions: Mapping[str, int]) -> list[Shown]:
        """What was shown of events behind ``positions``."""
        return [shown for shown in self._shown if shown.seq > positions.get(shown.stream, 0)]

    def has_forgotten(self, positions: Mapping[str, int]) -> bool:
        """Whether something behind ``positions`` was shown and forgotten: then `behind` does not have all."""
        return any(positions[stream] < seq for stream, seq in self._forgotten.items())
