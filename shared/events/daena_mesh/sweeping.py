"""Removes what dead edges left in the bucket PRESENCE, and tells who is gone with them."""

from __future__ import annotations

import asyncio
import logging

from daena_mesh.connection import Connection
from daena_mesh.errors import Conflict
from daena_mesh.presence import Watch
from daena_mesh.rosters import DEAD, DONE, Rosters
from daena_mesh.rounds import make_rounds

DEAD_AFTER_S = 10.0
"""How long a lease may stand still; edges renew theirs three times in it."""

_PAUSE_S = 2.0
_KNOWN_FOR_S = 3_600
"""For how long an edge that was asleep, and not dead, finds that it was taken for dead."""
_AT_ONCE = 8
_log = logging.getLogger(__name__)


class Sweeper:
    """Every edge and every API has one; whichever is first claims a dead edge, and removes what it left."""

    def __init__(self, rosters: Rosters, connection: Connection) -> None:
        """Of ``rosters``, through their ``connection``."""
        self._rosters = rosters
        self._connection = connection
        self._watch = Watch(DEAD_AFTER_S)

    async def run(self) -> None:
        """For ever."""
        await make_rounds(
            self._sweep,
            every_s=_PAUSE_S,
            connection=self._connection,
            blind=self._watch.blind,
            doing="sweeping presence",
            log=_log,
        )

    async def _sweep(self) -> None:
        leases = await self._rosters.leases()
        standing = {edge: lease.seq for edge, lease in leases.items() if lease.state != DONE}
        for edge in self._watch.dead(standing, asyncio.get_running_loop().time()):
            try:
                await self._reap(edge, leases[edge].seq)
            except Conflict:
                continue  # it lives, or somebody else was first

    async def _reap(self, edge: str, seq: int) -> None:
        """Claim it first: an edge that was asleep and not dead finds that out when it renews its lease."""
        seq = await self._rosters.write_lease(edge, DEAD, seq)
        await self.remove(edge)
        await self._rosters.write_lease(edge, DONE, seq, ttl_s=_KNOWN_FOR_S)

    async def remove(self, edge: str) -> None:
        """Remove the rosters of an edge that is no more, and tell who is gone; raises `MeshUnavailable`."""
        topics = await self._rosters.topics_of(edge)
        for begin in range(0, len(topics), _AT_ONCE):
            some = topics[begin : begin + _AT_ONCE]
            await asyncio.gather(*(self._rosters.change(topic, edge, tuple, {}) for topic in some))
        if topics:
            _log.info("edge %s is gone, and its users from %d topics with it", edge, len(topics))
