"""Replay: what a reader has missed, from several patterns of several streams, as one sequence.

`merge` decides, `read` asks. A stream's own order is kept always; across streams the time of storing orders.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from daena_mesh.errors import MeshUnavailable
from daena_mesh.log import Log
from daena_mesh.reader import MOST_BYTES, MOST_MESSAGES, Batch
from daena_mesh.stored import Stored

_STALE_S = 0.02
_STALE_TRIES = 100

Filters = Mapping[str, Sequence[str]]
"""For each stream the patterns that are wanted of it."""


class Chunk(NamedTuple):
    """A piece of a replay."""

    messages: list[Stored]
    positions: dict[str, int]
    """For each stream the sequence up to which the reader now has everything."""
    ended: bool
    """Nothing is left up to what was to be reached."""
    expired: dict[str, int]
    """For each stream whose limits took something the reader had not seen, the first sequence that was kept."""


def merge(
    batches: Mapping[str, Sequence[Batch]], after: Mapping[str, int]
) -> tuple[list[Stored], dict[str, int], set[str]]:
    """Merge the batches of each stream's patterns, all of which start behind ``after``.

    Returns the messages, the positions after them, and the streams of which nothing is left. Where one batch was cut
    short nothing behind its end is given, since that may have to stand between.
    """
    runs: dict[str, list[Stored]] = {}
    for stream, parts in batches.items():
        end = min((part.messages[-1].seq for part in parts if part.messages and part.pending), default=None)
        wanted = {m.seq: m for part in parts for m in part.messages if end is None or m.seq <= end}
        runs[stream] = [wanted[seq] for seq in sorted(wanted)]
    cut = {stream for stream, parts in batches.items() if any(part.pending for part in parts)}
    last = min((max(moment(m.time) for m in runs[stream]) for stream in cut if runs[stream]), default=None)
    ended = set()
    for stream, run in runs.items():
        # Not a filter: clocks can be put back, and then what lies behind the first that is too late is none to skip.
        kept = run if last is None else list(itertools.takewhile(lambda m: moment(m.time) <= last, run))
        if stream not in cut and len(kept) == len(run):
            ended.add(stream)
        runs[stream] = kept
    positions = {stream: run[-1].seq if run else after[stream] for stream, run in runs.items()}
    return list(heapq.merge(*runs.values(), key=lambda m: moment(m.time))), positions, ended


def moment(time: bytes) -> bytes:
    """A key that sorts RFC 3339 times in UTC, whatever the number of their digits."""
    return time.removesuffix(b"Z")


async def read(
    log: Log,
    filters: Filters,
    after: Mapping[str, int],
    *,
    reach: Mapping[str, int],
    most: int = MOST_MESSAGES,
    most_bytes: int = MOST_BYTES,
) -> Chunk:
    """The next piece behind ``after``; a stream has ended only at its sequence in ``reach``, told by its leader.

    Raises `MeshUnavailable` where no replica answers or none comes up to that head.
    """
    expired = {}
    after = dict(after)
    for stream in filters:
        kept = await log.kept_from(stream)
        if after[stream] + 1 < kept:
            expired[stream] = kept
            after[stream] = kept - 1
    for _ in range(_STALE_TRIES):
        asked = [(stream, pattern) for stream, patterns in filters.items() for pattern in patterns]
        found = await asyncio.gather(
            *(log.batch(stream, pattern, after[stream], most=most, most_bytes=most_bytes) for stream, pattern in asked)
        )
        batches: dict[str, list[Batch]] = {stream: [] for stream in filters}
        for (stream, _pattern), batch in zip(asked, found, strict=True):
            batches[stream].append(batch)
        messages, positions, ended = merge(batches, after)
        short = [stream for stream in ended if positions[stream] < reach.get(stream, 0)]
        for stream in short:
            # The replica is stale, or what was to be reached has expired meanwhile: the leader knows.
            if positions[stream] < await log.head(stream, filters[stream]):
                ended.discard(stream)
        if messages or len(ended) == len(filters):
            return Chunk(messages, positions, len(ended) == len(filters), expired)
        await asyncio.sleep(_STALE_S)
    raise MeshUnavailable("no replica of the log comes up to its leader")


async def newest(
    log: Log, stream: str, patterns: Sequence[str], count: int, *, before: int | None = None
) -> list[Stored]:
    """The newest ``count`` messages on ``patterns``, or those before the sequence ``before``, oldest first.

    The log is asked how many there are from some sequence on, and that sequence is bisected. Raises `MeshUnavailable`.
    """
    if count <= 0:
        return []
    end = min(await log.head(stream, patterns), before - 1 if before is not None else 2**62)
    low, high = 0, end  # behind `low` there are at least `count`, or it is the beginning
    while high - low > count:
        middle = (low + high) // 2
        if await _how_many(log, stream, patterns, middle, end) >= count:
            low = middle
        else:
            high = middle
    found: list[Stored] = []
    position = low
    while position < end:
        chunk = await read(log, {stream: patterns}, {stream: position}, reach={stream: end if before is None else 0})
        found += [message for message in chunk.messages if message.seq <= end]
        position = chunk.positions[stream]
        if chunk.ended:
            break
    return found[-count:]


async def _how_many(log: Log, stream: str, patterns: Sequence[str], after: int, end: int) -> int:
    """At most how many messages lie behind ``after`` and not behind ``end``."""

    async def pending(start: int) -> int:
        batches = await asyncio.gather(*(log.batch(stream, pattern, start, most=1) for pattern in patterns))
        return sum(batch.pending + len(batch.messages) for batch in batches)

    return await pending(after) - await pending(end)
