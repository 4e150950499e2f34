"""A piece of the log, read once and made into frames for all readers of a topic who stand at the same positions."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from daena_mesh import want
from daena_mesh.codec import Poison
from daena_mesh.errors import MeshUnavailable
from daena_mesh.log import Log
from mesh_edge.envelope import is_notice

if TYPE_CHECKING:
    from mesh_edge.reader import Reader
    from mesh_edge.topic import Topic

CHUNK_BYTES = 262_144
_log = logging.getLogger(__name__)


class Chunk:
    """A piece of the log as frames."""

    __slots__ = ("data", "ended", "expired", "positions", "waiting")

    def __init__(self) -> None:
        self.waiting: list[Reader] | None = []
        """Who waits for it; None once it is there."""
        self.data = b""
        self.positions: dict[str, int] = {}
        self.expired: dict[str, int] = {}
        self.ended = False

    def fill(self, read: want.Chunk, positions: dict[str, int], topic: Topic) -> None:
        """Make it of what was ``read`` behind ``positions``."""
        frames, at = [], dict(positions)
        for message in read.messages:
            at[message.stream] = message.seq
            if is_notice(message) or topic.hides(message):
                continue  # the former was for who was there
            try:
                frames.append(topic.frame(message, None, at))
            except Poison:
                continue
        self.data = b"".join(frames)
        self.positions, self.expired, self.ended = {**positions, **read.positions}, read.expired, read.ended


async def read_behind(positions: dict[str, int], topic: Topic, log: Log, *, were_live: bool) -> want.Chunk | None:
    """Read what is behind ``positions``, for readers who ``were_live`` before, or not; None where it has to wait."""
    follower = topic.follower
    if any(positions[stream] < follower.chains[stream].position for stream in follower.silent):
        return None
    if any(chain.epoch != log.epochs[stream].name for stream, chain in follower.heard.items()):
        return None  # where it stands is of another life; it is about to look anew
    # No further than the topic has come: what it is about to find missing is shown before what comes then.
    reach = {stream: chain.seen for stream, chain in follower.heard.items()}
    filters = follower.heard_filters
    try:
        if were_live and not await _has_all(reach, topic):
            return None
        if not topic.may_be_read:
            return None
        read = await log.replays.read(filters, positions, reach=reach, most_bytes=CHUNK_BYTES)
    except MeshUnavailable as error:
        _log.info("%s: a replay waits: %s", topic.name, error)
        return None
    # Over another connection than where the topic stands it is perhaps of another life of a stream.
    return read if follower.connects == log.connection.connects else None


async def _has_all(reach: dict[str, int], topic: Topic) -> bool:
    """Whether the topic has lost nothing up to ``reach``, or has shown it since; else it is about to be shown.

    Who was live before would be given what is behind their positions before what was lost in front of them.
    """
    chains = topic.follower.chains
    if any(not chains[stream].whole and chains[stream].verified < seq for stream, seq in reach.items()):
        await topic.follower.audit()
    return not topic.follower.is_healing
