"""What one reader wants of the log, and the piece of it that it is given.

Pure: who reads gives messages to a `Want` until it is full or the end was reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from daena_mesh.reader import MOST_BYTES, MOST_MESSAGES
from daena_mesh.stored import Stored

Filters = Mapping[str, Sequence[str]]
"""For each stream the patterns that are wanted of it."""

MESSAGE_BYTES = 300
"""What a message costs beside its body and headers, roughly."""


class Chunk(NamedTuple):
    """A piece of a replay."""

    messages: list[Stored]
    positions: dict[str, int]
    """For each stream the sequence up to which the reader now has everything."""
    ended: bool
    """Nothing is left up to what was to be reached."""
    expired: dict[str, int]
    """For each stream whose limits took something the reader had not seen, the first sequence that was kept."""


class Want:
    """What lies behind some positions, up to some heads."""

    __slots__ = ("_reach", "_size", "after", "expired", "filters", "messages", "most_bytes")

    def __init__(
        self, filters: Filters, after: Mapping[str, int], reach: Mapping[str, int], most_bytes: int = MOST_BYTES
    ) -> None:
        """``reach`` has the heads that the leaders told; a stream that it does not name is read as far as it goes."""
        self.filters = filters
        self.after = {stream: after[stream] for stream in filters}
        """Up to where it has each stream."""
        self.messages: list[Stored] = []
        self.expired: dict[str, int] = {}
        self.most_bytes = most_bytes
        self._reach = reach
        self._size = 0

    @property
    def is_full(self) -> bool:
        """Whether it has as much as it may be given at once."""
        return self._size >= self.most_bytes or len(self.messages) >= MOST_MESSAGES

    @property
    def streams(self) -> list[str]:
        """The streams in which something may be left for it."""
        return [stream for stream in self.filters if self.needs(stream)]

    def reach(self, stream: str) -> int | None:
        """Up to where it wants ``stream``, None for as far as it goes."""
        return self._reach.get(stream)

    def needs(self, stream: str) -> bool:
        """Whether something may be left for it in ``stream``."""
        reach = self._reach.get(stream)
        return reach is None or self.after[stream] < reach

    def expire(self, stream: str, kept: int) -> None:
        """What lay before ``kept`` is gone."""
        if self.after[stream] + 1 < kept:
            self.expired[stream] = kept
            self.after[stream] = kept - 1

    def take(self, message: Stored) -> None:
        """Take a message, unless it has it."""
        if message.seq > self.after[message.stream]:
            self.messages.append(message)
            self.after[message.stream] = message.seq
            self._size += len(message.body) + len(message.headers) + MESSAGE_BYTES

    def chunk(self, read_to: Mapping[str, int], ended: Mapping[str, bool]) -> Chunk:
        """What it is given: ``read_to`` is how far each stream was read for it, and ``ended`` whether that was all."""
        positions, everything = {}, True
        for stream in self.filters:
            own, reach = self.after[stream], self._reach.get(stream)
            if self.needs(stream) and not ended.get(stream, False):
                # Up to here none of its own is left out, and nothing need be read again.
                through = read_to.get(stream, 0)
                own = max(own, through if reach is None else min(through, reach))
                everything = everything and reach is not None and own >= reach
            positions[stream] = own
        return Chunk(self.messages, positions, everything, self.expired)
