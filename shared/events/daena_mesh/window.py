"""A stretch of the log in memory, for a moment: read once, it serves all who are behind at once.

Many topics that come back together want the same range, each another few of its messages. A window reads everything in
the range, as that is what the server reads fastest: with a wildcard it takes 22 times as long for a message. Each
reader is given what it wants by look-up.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence

from daena_mesh import replay
from daena_mesh.errors import MeshUnavailable
from daena_mesh.lanes import Lane, Lanes
from daena_mesh.reader import StreamReader
from daena_mesh.stored import Stored
from daena_mesh.subject_table import SubjectTable
from daena_mesh.want import MESSAGE_BYTES, Chunk, Want

MOST_WINDOW_BYTES = 33_554_432
BATCH_BYTES = 262_144
_MOST_REST_S = 0.1


class Window:
    """What lies between two sequences of each stream."""

    __slots__ = ("_high", "_low", "_tables", "size")

    def __init__(self, wants: Sequence[Want]) -> None:
        """Begins where the one of ``wants`` that is farthest behind stands, and is empty."""
        self.size = 0
        """What it holds, in bytes."""
        self._low: dict[str, int] = {}
        for want in wants:
            for stream in want.streams:
                self._low[stream] = min(want.after[stream], self._low.get(stream, want.after[stream]))
        self._high = dict(self._low)
        self._tables = {stream: SubjectTable() for stream in self._low}

    @property
    def is_full(self) -> bool:
        """Whether it holds as much as it may."""
        return self.size >= MOST_WINDOW_BYTES

    def suits(self, want: Want) -> bool:
        """Whether it has all that is wanted, or will when it has come to the end of that."""
        return all(stream in self._low and want.after[stream] >= self._low[stream] for stream in want.streams)

    def has(self, want: Want) -> bool:
        """Whether all that is wanted of it was read."""
        return all((want.reach(stream) or 0) <= self._high[stream] for stream in want.streams)

    async def extend(self, log: StreamReader, reach: Mapping[str, int]) -> bool:
        """Read on up to ``reach``; False where that was too much, or taken by the limits.

        Raises `MeshUnavailable`, also where a stream has not come so far: then ``reach`` is of another life of it, and
        what is stored there later would be taken for read.

        Acknowledgements to publishers wait in the server behind the messages of a batch. So batches are small here, and
        after each one the server is left alone for as long as it took.
        """
        for stream, seq in reach.items():
            if self._high[stream] < seq and (await log.bounds(stream))[1] < seq:
                raise MeshUnavailable(f"stream {stream} has not come to {seq} in this life")
        lanes = Lanes([Lane(stream, ">", self._high[stream], seq) for stream, seq in reach.items()])
        loop, rest_s = asyncio.get_running_loop(), 0.0
        while lanes.dry() and not self.is_full:
            await asyncio.sleep(rest_s)
            began = loop.time()
            if not await replay.feed(log, lanes, BATCH_BYTES):
                break
            rest_s = min(loop.time() - began, _MOST_REST_S)
            for message in lanes.take():
                self._tables[message.stream].add(message)
                self._high[message.stream] = message.seq
                self.size += len(message.body) + len(message.headers) + MESSAGE_BYTES
        for stream, seq in reach.items():
            if lanes.has_ended(stream):
                self._high[stream] = max(self._high[stream], seq)
        return all(self._high[stream] >= seq for stream, seq in reach.items())

    def give(self, want: Want) -> Chunk:
        """What it has of what is wanted."""
        lanes = []
        for stream in want.streams:
            lane = Lane(stream, "", want.after[stream], None)
            lane.messages = deque(self._find(stream, want.filters[stream], want.after[stream]))
            lane.ended = True
            lanes.append(lane)
        read_to: dict[str, int] = {}
        for message in Lanes(lanes).take():
            want.take(message)
            read_to[message.stream] = message.seq
            if want.is_full:
                return want.chunk(read_to, {})
        return want.chunk(self._high, {})

    def _find(self, stream: str, patterns: Sequence[str], after: int) -> list[Stored]:
        rows: dict[bytes, list[Stored]] = {}
        for pattern in patterns:
            rows.update(self._tables[stream].rows(pattern))
        found = [row[bisect_right(row, after, key=_seq) :] for row in rows.values()]
        return found[0] if len(found) == 1 else sorted((message for part in found for message in part), key=_seq)


def _seq(message: Stored) -> int:
    return message.seq
