"""Fills a projection from the log.

First the counts, then the last message of each subject. The server tells a count with the last sequence of a moment
before, so a message that comes in between may be counted or not. Nothing came in between for a chat whose last message
is older than that sequence. The others, in which something is being said, are counted alone and more than once.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from daena_mesh import replay
from daena_mesh.layout import RECORDS
from daena_mesh.mesh import Mesh
from daena_mesh.stored import Stored
from mesh_api.facts import Deleted, Fact
from mesh_api.projection import Projection
from mesh_api.streams import counts, last_of_each

_CHATS = ("chat.*.message", "chat.*.message.*")
_AT_ONCE = 5_000
_BUSY_AT_ONCE = 50
_TRIES = 5
PATTERNS = ("session.>", *_CHATS)


class Filled(NamedTuple):
    """A projection of everything up to some moment."""

    projection: Projection
    unpurged: list[str]
    """Deleted sessions of which there is more than that they were deleted."""


async def fill(mesh: Mesh, read: Callable[[Stored], Fact | None], *, by_user: bool = False) -> Filled:
    """Read what the log has; ``read`` gives the fact of a message, if it is one. Raises `MeshUnavailable`."""
    projection = Projection(by_user=by_user, is_ordered=False)
    counted_at, chats = await _counts(mesh, *_CHATS)
    left = set(chats)
    async for messages in last_of_each(mesh.connection, RECORDS, PATTERNS, most_bytes=mesh.settings.max_body_bytes):
        for fact in (fact for fact in map(read, messages) if fact is not None):
            projection.apply(fact)
            if not isinstance(fact, Deleted):
                left.add(fact.session_id)
        await asyncio.sleep(0)  # others are served meanwhile
    busy = []
    for i, (session_id, count) in enumerate(chats.items()):
        if i % _AT_ONCE == 0:
            await asyncio.sleep(0)
        if projection.last_said(session_id) <= counted_at:
            projection.set_count(session_id, count, counted_at)
        else:
            busy.append(session_id)
    for i in range(0, len(busy), _BUSY_AT_ONCE):
        await asyncio.gather(*(_count_alone(mesh, projection, chat) for chat in busy[i : i + _BUSY_AT_ONCE]))
    unpurged = [session_id for session_id in left if projection.is_deleted(session_id)]
    del chats, left, busy  # the order takes their room
    projection.order()
    return Filled(projection, unpurged)


async def _counts(mesh: Mesh, *patterns: str) -> tuple[int, dict[str, int]]:
    """How many messages each chat has, and the last sequence before they were counted."""
    found: defaultdict[str, int] = defaultdict(int)
    at = []
    for pattern in patterns:
        counted = await counts(mesh.connection, RECORDS, pattern)
        at.append(counted.at)
        for subject, count in counted.by_subject.items():
            _, session_id, verb, *_ = subject.split(".")
            if verb == "message":
                found[session_id] += count
    return min(at), found


async def _count_alone(mesh: Mesh, projection: Projection, session_id: str) -> None:
    """Count a chat in which something is being said.

    Each try gives what there was at its sequence, or one or two more. What was said between two tries can be read from
    the log, so all of them tell of the same moment, and the least of them is right.
    """
    patterns = tuple(pattern.replace("*", session_id, 1) for pattern in _CHATS)
    # One question for both patterns, or the second would be answered long after the sequence was noted.
    tries = [await _counts(mesh, f"chat.{session_id}.>") for _ in range(_TRIES)]
    first, last = tries[0][0], tries[-1][0]
    said = [message.seq async for message in _between(mesh, patterns, first, last)]
    least = min(found.get(session_id, 0) - sum(seq <= at for seq in said) for at, found in tries)
    projection.set_count(session_id, least, first)


async def _between(mesh: Mesh, patterns: tuple[str, ...], after: int, up_to: int) -> AsyncIterator[Stored]:
    """What the log has on ``patterns`` behind ``after`` and up to ``up_to``."""
    head = await mesh.log.head(RECORDS, patterns)
    while after < min(head, up_to):
        chunk = await replay.read(mesh.log, {RECORDS: patterns}, {RECORDS: after}, reach={RECORDS: head})
        for message in chunk.messages:
            if message.seq <= up_to:
                yield message
        after = head if chunk.ended else chunk.positions[RECORDS]
