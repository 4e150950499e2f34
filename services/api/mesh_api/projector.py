"""Keeps the list of sessions, and has done what follows from their events."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from daena_mesh.errors import InvalidEvent
from daena_mesh.layout import RECORDS
from daena_mesh.mesh import Mesh
from daena_mesh.stored import Stored
from mesh_api.facts import Fact, Said, read_fact
from mesh_api.filling import PATTERNS, Filled, fill
from mesh_api.keeping import Keeper
from mesh_api.projection import Projection
from mesh_api.upkeep import Upkeep

_SEEN_WITHIN_S = 0.25
_log = logging.getLogger(__name__)


class Projector(Keeper):
    """The projection of one API process, with its I/O."""

    what = "list of sessions"
    patterns = PATTERNS

    def __init__(self, mesh: Mesh, upkeep: Upkeep, *, by_user: bool = False) -> None:
        """``by_user``: know which sessions belong to whom."""
        super().__init__(mesh)
        self._by_user = by_user
        self.projection = Projection(by_user=by_user)
        self._upkeep = upkeep
        self._filled: Filled | None = None
        self._seen = 0
        self._waiting: dict[asyncio.Future[None], int] = {}

    async def seen(self, seq: int) -> None:
        """Wait until the event at ``seq`` is in, so that who wrote it finds it in the list; at most for a moment."""
        if seq <= self._seen or not self.is_current:
            return
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[reached] = seq
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reached, _SEEN_WITHIN_S)
        self._waiting.pop(reached, None)

    async def fill(self) -> None:
        """Read all sessions, and how much was said in each; raises `MeshUnavailable`."""
        self._filled = await fill(self._mesh, self._fact, by_user=self._by_user)
        self.projection = self._filled.projection

    def filled(self) -> None:
        """What needs upkeep is known now."""
        filled, self._filled = self._filled, None
        for session_id in self.projection.orphans():
            self._upkeep.want_session(session_id)
        for session_id in filled.unpurged if filled is not None else ():
            self._upkeep.want_purge(session_id)
        _log.info("%d sessions", len(self.projection))

    def emptied(self) -> None:
        """Sequences have another meaning from now on."""
        self._seen = 0

    def apply(self, message: Stored) -> bool:
        """Take in an event, and want the upkeep that follows from it."""
        fact = self._fact(message)
        if fact is not None:
            self.projection.apply(fact)
            if self.projection.is_deleted(fact.session_id):
                self._upkeep.want_purge(fact.session_id)
            elif isinstance(fact, Said) and not self.projection.has(fact.session_id):
                self._upkeep.want_session(fact.session_id)
        self._seen = max(self._seen, message.seq)
        for reached, seq in tuple(self._waiting.items()):
            if seq <= message.seq and not reached.done():
                reached.set_result(None)
        return fact is not None

    def _fact(self, message: Stored) -> Fact | None:
        log = self._mesh.log
        try:
            return read_fact(message, log.cursor(RECORDS, message.seq), log.settings.max_body_bytes)
        except InvalidEvent as error:
            self.malformed += 1
            _log.debug("ignored: %s", error)
            return None
