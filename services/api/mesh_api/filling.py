"""Fills a projection from the log.

First the counts, then the last message of each subject. A chat whose last message is newer than the moment its count
was asked for may have been counted with that message or without: it is counted again, alone.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

from daena_mesh.layout import RECORDS
from daena_mesh.mesh import Mesh
from daena_mesh.stored import Stored
from mesh_api.facts import Deleted, Fact
from mesh_api.projection import Projection
from mesh_api.streams import counts, last_of_each, last_seq

_CHATS = ("chat.*.message", "chat.*.message.*")
_AT_ONCE = 5_000
PATTERNS = ("session.>", *_CHATS)


class Filled(NamedTuple):
    """A projection of everything up to some moment."""

    projection: Projection
    unpurged: list[str]
    """Deleted sessions of which there is more than that they were deleted."""


async def fill(mesh: Mesh, read: Callable[[Stored], Fact | None]) -> Filled:
    """Read what the log has; ``read`` gives the fact of a message, if it is one. Raises `MeshUnavailable`."""
    projection = Projection()
    counted_at = await last_seq(mesh.connection, RECORDS)
    chats = await _counts(mesh, _CHATS)
    left = set(chats)
    async for messages in last_of_each(mesh.connection, RECORDS, PATTERNS):
        for fact in (fact for fact in map(read, messages) if fact is not None):
            projection.apply(fact)
            if not isinstance(fact, Deleted):
                left.add(fact.session_id)
        await asyncio.sleep(0)  # others are served meanwhile
    for i, (session_id, count) in enumerate(chats.items()):
        if i % _AT_ONCE == 0:
            await asyncio.sleep(0)
        if projection.last_said(session_id) <= counted_at:
            projection.set_count(session_id, count, counted_at)
        else:
            await _count_alone(mesh, projection, session_id)
    return Filled(projection, [session_id for session_id in left if projection.is_deleted(session_id)])


async def _counts(mesh: Mesh, patterns: tuple[str, ...]) -> dict[str, int]:
    """How many messages each chat has."""
    found: defaultdict[str, int] = defaultdict(int)
    for pattern in patterns:
        for subject, count in (await counts(mesh.connection, RECORDS, pattern)).items():
            found[subject.split(".")[1]] += count
    return found


async def _count_alone(mesh: Mesh, projection: Projection, session_id: str) -> None:
    """Count a chat in which something is being said."""
    patterns = (f"chat.{session_id}.message", f"chat.{session_id}.message.*")
    while True:
        counted_at = await last_seq(mesh.connection, RECORDS)
        found = await _counts(mesh, patterns)
        if await mesh.log.head(RECORDS, patterns) <= counted_at:
            projection.set_count(session_id, found.get(session_id, 0), counted_at)
            return
