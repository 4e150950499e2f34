"""History: behind which positions the newest events lie."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Mapping
from itertools import chain

from daena_mesh import replay
from daena_mesh.lanes import moment
from daena_mesh.reader import StreamReader
from daena_mesh.stored import Stored
from daena_mesh.want import Filters


async def before_newest(log: StreamReader, filters: Filters, count: int, ends: Mapping[str, int]) -> dict[str, int]:
    """The positions behind which the newest ``count`` events of several streams lie, by the time of their storing.

    ``ends`` are the positions of the streams of which none is among them. Raises `MeshUnavailable`.
    """
    runs = await asyncio.gather(*(replay.newest(log, stream, own, count) for stream, own in filters.items()))
    return begin_of(runs, count, ends)


def begin_of(runs: list[list[Stored]], count: int, ends: Mapping[str, int]) -> dict[str, int]:
    """The positions before the newest ``count`` messages of all ``runs``, each of which is one stream's, in order."""
    newest = heapq.nlargest(count, chain.from_iterable(runs), key=lambda message: (moment(message.time), message.seq))
    begin = dict(ends)
    for message in newest:
        begin[message.stream] = min(begin[message.stream], message.seq - 1)
    return begin
