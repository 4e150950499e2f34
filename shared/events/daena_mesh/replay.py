"""Replay: what a reader has missed, from several patterns of several streams, as one sequence."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from daena_mesh.errors import MeshUnavailable
from daena_mesh.lanes import Lane, Lanes
from daena_mesh.reader import MOST_BYTES, StreamReader
from daena_mesh.stored import Stored
from daena_mesh.subjects import overlaps
from daena_mesh.want import Chunk, Filters, Want

_STALE_S = 0.02
_STALE_TRIES = 100


async def read(
    log: StreamReader,
    filters: Filters,
    after: Mapping[str, int],
    *,
    reach: Mapping[str, int],
    most_bytes: int = MOST_BYTES,
) -> Chunk:
    """The next piece behind ``after`` and up to ``reach``, the heads that the leaders told.

    A stream that ``reach`` does not name is read as far as it goes. Raises `MeshUnavailable` where no replica answers
    or none comes up to its leader.
    """
    want = Want(filters, after, reach, most_bytes)
    await expire(log, want)
    return await give(log, want)


async def expire(log: StreamReader, want: Want) -> None:
    """Tell ``want`` what the limits of streams have taken; raises `MeshUnavailable`."""
    for stream in want.streams:
        want.expire(stream, await log.kept_from(stream))


async def give(log: StreamReader, want: Want) -> Chunk:
    """The next piece of what is wanted; raises `MeshUnavailable`."""
    read_to = {stream: want.after[stream] for stream in want.streams}
    lanes = Lanes(
        [
            Lane(stream, pattern, after, want.reach(stream))
            for stream, after in read_to.items()
            for pattern in want.filters[stream]
        ]
    )
    while not want.messages and lanes.dry() and await feed(log, lanes, min(MOST_BYTES, want.most_bytes)):
        for message in lanes.take():
            want.take(message)
            read_to[message.stream] = message.seq
            if want.is_full:
                return want.chunk(read_to, {})
    return want.chunk(read_to, {stream: lanes.has_ended(stream) for stream in read_to})


async def feed(log: StreamReader, lanes: Lanes, most_bytes: int = MOST_BYTES) -> bool:
    """Feed every lane that is dry; False where a stream's limits have come to what one of them would read next.

    Raises `MeshUnavailable`.
    """
    for _ in range(_STALE_TRIES):
        dry = lanes.dry()
        for lane in dry:
            if lane.after + 1 < await log.kept_from(lane.stream):
                return False
        batches = await asyncio.gather(
            *(log.batch(lane.stream, lane.pattern, lane.after, most_bytes=most_bytes) for lane in dry)
        )
        doubtful = [lane for lane, batch in zip(dry, batches, strict=True) if not lane.feed(batch)]
        heads = await asyncio.gather(*(log.head(lane.stream, (lane.pattern,)) for lane in doubtful))
        for lane, head in zip(doubtful, heads, strict=True):
            lane.confirm(head)
        if not lanes.dry():
            return True
        await asyncio.sleep(_STALE_S)
    raise MeshUnavailable("no replica of the log comes up to its leader")


async def newest(
    log: StreamReader, stream: str, patterns: Sequence[str], count: int, *, before: int | None = None
) -> list[Stored]:
    """The newest ``count`` messages on ``patterns``, or those before the sequence ``before``, oldest first.

    The log is asked how many there are from some sequence on, and that sequence is bisected. Raises `MeshUnavailable`.
    """
    if count <= 0:
        return []
    end = min(await log.head(stream, patterns), before - 1 if before is not None else 2**62)
    low, high = 0, end  # behind `low` there are at least `count`, or it is the beginning
    # A message is counted once for each pattern that matches it.
    enough = count * max((sum(overlaps(pattern, other) for other in patterns) for pattern in patterns), default=1)
    while high - low > count:
        middle = (low + high) // 2
        if await _how_many(log, stream, patterns, middle, end) >= enough:
            low = middle
        else:
            high = middle
    found: list[Stored] = []
    position = low
    while position < end:
        chunk = await read(log, {stream: patterns}, {stream: position}, reach={stream: end} if before is None else {})
        found += [message for message in chunk.messages if message.seq <= end]
        position = chunk.positions[stream]
        if chunk.ended:
            break
    return found[-count:]


async def _how_many(log: StreamReader, stream: str, patterns: Sequence[str], after: int, end: int) -> int:
    """At most how many messages lie behind ``after`` and not behind ``end``."""

    async def pending(start: int) -> int:
        batches = await asyncio.gather(*(log.batch(stream, pattern, start, most=1) for pattern in patterns))
        return sum(batch.pending + len(batch.messages) for batch in batches)

    return await pending(after) - await pending(end)
