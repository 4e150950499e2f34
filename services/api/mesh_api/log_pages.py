"""The log in pages, for people: onward from a position or a time, or back from the newest event.

A page reads a bounded piece of the log: so many messages of each stream, and a mebibyte or so where it goes onward.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import NamedTuple

from daena_mesh import replay
from daena_mesh.errors import MeshUnavailable
from daena_mesh.lanes import moment
from daena_mesh.layout import epoch_subject
from daena_mesh.log import Log
from daena_mesh.stored import Stored
from daena_mesh.want import MESSAGE_BYTES, Chunk, Filters

MOST_EVENTS = 500
"""Of one page."""
MOST_BYTES = 1_048_576
_MOST_AT_ONCE = 4
_AGAIN_S = 0.02
_TRIES = 50


class Page(NamedTuple):
    """Messages of the log, oldest first."""

    messages: list[Stored]
    previous: dict[str, int]
    """For each stream the sequence before which the page before this one ends."""
    following: dict[str, int]
    """For each stream the sequence behind which the page after this one begins."""
    more: bool
    """Whether something is left in the direction in which was read."""
    lost: dict[str, tuple[int, int]]
    """For each stream whose limits took something that was asked for: behind which sequence it lay, and up to which."""


def cut(chunk: Chunk, after: Mapping[str, int], count: int) -> Page:
    """The first ``count`` messages of what was read behind ``after``."""
    messages = chunk.messages[:count]
    begin = {stream: max(seq, chunk.expired.get(stream, 0) - 1) for stream, seq in after.items()}
    following = dict(chunk.positions)
    if len(messages) < len(chunk.messages):
        following = dict(begin)
        for message in messages:
            following[message.stream] = message.seq
    more = len(messages) < len(chunk.messages) or not chunk.ended
    previous = {stream: seq + 1 for stream, seq in begin.items()}
    lost = {stream: (after[stream], kept - 1) for stream, kept in chunk.expired.items()}
    return Page(messages, previous, following, more, lost)


def newest_of(runs: list[list[Stored]], count: int) -> list[Stored]:
    """The newest ``count`` messages of all ``runs``, each of which is one stream's, while they are not too large."""
    kept: list[Stored] = []
    size = 0
    for message in heapq.nlargest(count, chain.from_iterable(runs), key=lambda m: (moment(m.time), m.seq)):
        size += len(message.body) + MESSAGE_BYTES
        if kept and size > MOST_BYTES:
            break
        kept.append(message)
    kept.reverse()
    return kept


class LogPages:
    """Reads pages, a few at a time."""

    def __init__(self, log: Log) -> None:
        """Of ``log``."""
        self._log = log
        self._places = asyncio.Semaphore(_MOST_AT_ONCE)

    async def onward(self, filters: Filters, after: Mapping[str, int], count: int) -> Page:
        """What follows ``after``; raises `MeshUnavailable`."""
        async with self._places:
            heads = await asyncio.gather(*(self._log.head(stream, own) for stream, own in filters.items()))
            reach = dict(zip(filters, heads, strict=True))
            chunk = await replay.read(self._log, filters, after, reach=reach, most_bytes=MOST_BYTES)
            return cut(chunk, {stream: after[stream] for stream in filters}, count)

    async def back(self, filters: Filters, count: int, before: Mapping[str, int] | None = None) -> Page:
        """The newest, or those before the sequences ``before``; raises `MeshUnavailable`."""
        async with self._places:
            ends = before or {stream: (await self._log.bounds(stream))[1] + 1 for stream in filters}
            runs = await asyncio.gather(
                *(
                    replay.newest(self._log, stream, own, count + 1, before=before[stream] if before else None)
                    for stream, own in filters.items()
                )
            )
        messages = newest_of(runs, count)
        previous = {stream: ends[stream] for stream in filters}
        following = {stream: max(0, ends[stream] - 1) for stream in filters}
        for message in reversed(messages):
            previous[message.stream] = min(previous[message.stream], message.seq)
            following[message.stream] = max(following[message.stream], message.seq)
        return Page(messages, previous, following, sum(map(len, runs)) > len(messages), {})

    async def since(self, streams: Sequence[str], at: datetime) -> dict[str, int]:
        """For each stream the position behind which all lies that was stored at ``at`` or later.

        Raises `MeshUnavailable`.
        """
        async with self._places:
            found = await asyncio.gather(*(self._before(stream, at) for stream in streams))
        return dict(zip(streams, found, strict=True))

    async def stored_at(self, stream: str, seq: int) -> datetime | None:
        """When the event at ``seq`` was stored, or where that is gone the first one after it; None if there is none.

        Raises `MeshUnavailable`.
        """
        message = await self._log.get(stream, seq)
        if message is None:
            batch = await self._log.batch(stream, ">", seq, most=1)
            message = batch.messages[0] if batch.messages else None
        return None if message is None else time_of(message)

    async def _before(self, stream: str, at: datetime) -> int:
        for _ in range(_TRIES):
            _, last = await self._log.bounds(stream)
            if first := await self._log.first_since(stream, at):
                return first - 1
            newest = await self._log.get(stream, last) if last else None
            if newest is None or newest.subject == epoch_subject(stream).encode() or time_of(newest) < at:
                return last
            await asyncio.sleep(_AGAIN_S)  # the replica that answered is behind its leader
        raise MeshUnavailable(f"no replica of stream {stream} comes up to its leader")


def time_of(message: Stored) -> datetime:
    """When it was stored, to the microsecond."""
    seconds, _, fraction = message.time.decode("ascii").removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}.{fraction[:6]:0<6}").replace(tzinfo=UTC)
