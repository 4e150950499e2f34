"""Keeps the projection: filled at start, followed live, filled anew where the log began anew.

The follower starts before the filling does, and what it receives meanwhile is kept and applied at the end: nothing is
missed, and what was known already changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from daena_mesh.cursors import Cursor
from daena_mesh.errors import InvalidEvent, MeshUnavailable
from daena_mesh.follower import Follower, GapReason
from daena_mesh.layout import RECORDS
from daena_mesh.mesh import Mesh
from daena_mesh.stored import Stored
from mesh_api.facts import Fact, Said, read_fact
from mesh_api.filling import PATTERNS, fill
from mesh_api.projection import Projection
from mesh_api.upkeep import Upkeep

_PAUSE_S = 0.2
_SEEN_WITHIN_S = 0.25
_log = logging.getLogger(__name__)


class Projector:
    """The projection of one API process, with its I/O."""

    def __init__(self, mesh: Mesh, upkeep: Upkeep) -> None:
        self.projection = Projection()
        self.malformed = 0
        self.is_complete = False
        """Whether everything up to the moment it was filled is in; what came since follows live."""
        self._mesh = mesh
        self._upkeep = upkeep
        self._kept: list[Stored] | None = []
        self._fill_again = asyncio.Event()
        self._is_live = False
        self._seen = 0
        self._waiting: dict[asyncio.Future[None], int] = {}

    async def run(self) -> None:
        """For ever: follow, fill, and fill again when the log began anew."""
        follower = Follower(self._mesh.log, PATTERNS, self)
        follower.start()
        try:
            while True:
                await follower.wait_live()
                self._fill_again.clear()
                try:
                    await self._fill()
                    await self._fill_again.wait()
                except MeshUnavailable as error:
                    _log.info("the list of sessions cannot be filled yet: %s", error)
                    await asyncio.sleep(_PAUSE_S)
                except Exception:  # noqa: BLE001 - or the list would stand still for ever
                    _log.exception("the list of sessions could not be filled")
                    await asyncio.sleep(_PAUSE_S)
        finally:
            follower.stop()

    @property
    def is_current(self) -> bool:
        """Whether it is complete and follows live, so that what it says of a session can be relied on."""
        return self.is_complete and self._is_live and self._mesh.connection.state == "connected"

    async def seen(self, seq: int) -> None:
        """Wait until the event at ``seq`` is in, so that who wrote it finds it in the list; at most for a moment."""
        if seq <= self._seen or not self.is_current:
            return
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[reached] = seq
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reached, _SEEN_WITHIN_S)
        self._waiting.pop(reached, None)

    # -- what the follower shows (`daena_mesh.follower.Sink`) ----------------------------------------------------

    def event(self, message: Stored, prev: int | None) -> bool:  # noqa: ARG002 - the chain is for sockets
        """Take in an event."""
        if self._kept is not None:
            self._kept.append(message)
            return True
        shown = self._apply(message)
        self._seen = message.seq
        for reached, seq in tuple(self._waiting.items()):
            if seq <= message.seq and not reached.done():
                reached.set_result(None)
        return shown

    def gap(self, before: Cursor, after: Cursor, reason: GapReason) -> None:
        """Something is missing: start from nothing."""
        _log.warning("the list of sessions is made anew: %s between %s and %s", reason, before, after)
        self._kept = []
        self.is_complete = False
        self._seen = 0
        self._fill_again.set()

    def degraded(self) -> None:
        """Events may be missing from now on."""
        self._is_live = False

    def healed(self) -> None:
        """Everything is in again."""
        self._is_live = True

    # -- filling ------------------------------------------------------------------------------------------------

    async def _fill(self) -> None:
        filled = await fill(self._mesh, self._fact)
        if self._fill_again.is_set():
            raise MeshUnavailable("the log began anew meanwhile")
        kept, self._kept, self.projection = self._kept or [], None, filled.projection
        for message in kept:
            self._apply(message)
            self._seen = max(self._seen, message.seq)
        for session_id in filled.projection.orphans():
            self._upkeep.want_session(session_id)
        for session_id in filled.unpurged:
            self._upkeep.want_purge(session_id)
        self.is_complete = True
        _log.info("%d sessions", len(self.projection))

    def _fact(self, message: Stored) -> Fact | None:
        log = self._mesh.log
        try:
            return read_fact(message, log.cursor(RECORDS, message.seq), log.settings.max_body_bytes)
        except InvalidEvent as error:
            self.malformed += 1
            _log.debug("ignored: %s", error)
            return None

    def _apply(self, message: Stored) -> bool:
        if (fact := self._fact(message)) is None:
            return False
        self.projection.apply(fact)
        if self.projection.is_deleted(fact.session_id):
            self._upkeep.want_purge(fact.session_id)
        elif isinstance(fact, Said) and not self.projection.has(fact.session_id):
            self._upkeep.want_session(fact.session_id)
        return True
