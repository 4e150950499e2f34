"""Keeps what is made of a stream's events: filled at start, followed live, filled anew where the log began anew.

The follower starts before the filling does, and what it receives meanwhile is kept and applied at the end: nothing is
missed, and what was known already changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from daena_mesh.cursors import Cursor
from daena_mesh.errors import MeshUnavailable
from daena_mesh.follower import Follower, GapReason
from daena_mesh.mesh import Mesh
from daena_mesh.stored import Stored

_PAUSE_S = 0.2
_log = logging.getLogger(__name__)


class Keeper(ABC):
    """The I/O around a projection; what is projected, and how, its heirs know."""

    what: ClassVar[str]
    """What is kept, for logs and errors."""
    patterns: ClassVar[Sequence[str]]
    """The subjects whose events make it, all of one stream."""

    def __init__(self, mesh: Mesh) -> None:
        """Follows through ``mesh``; nothing happens before `run`."""
        self.malformed = 0
        """How many stored events could not be read."""
        self.is_complete = False
        """Whether everything up to the moment it was filled is in; what came since follows live."""
        self._mesh = mesh
        self._kept: list[Stored] | None = []
        self._fill_again = asyncio.Event()
        self._is_live = False

    @abstractmethod
    async def fill(self) -> None:
        """Read what the log has, and begin with it; raises `MeshUnavailable`."""

    @abstractmethod
    def apply(self, message: Stored) -> bool:
        """Take in an event; False for what is none."""

    @abstractmethod
    def filled(self) -> None:
        """All that was kept meanwhile is in too."""

    @abstractmethod
    def emptied(self) -> None:
        """The log began anew, and so will what is kept."""

    async def run(self) -> None:
        """For ever: follow, fill, and fill again when the log began anew."""
        follower = Follower(self._mesh.log, self.patterns, self)
        follower.start()
        try:
            while True:
                await follower.wait_live()
                self._fill_again.clear()
                try:
                    await self._fill()
                    await self._fill_again.wait()
                except MeshUnavailable as error:
                    _log.info("the %s cannot be filled yet: %s", self.what, error)
                    await asyncio.sleep(_PAUSE_S)
                except Exception:  # noqa: BLE001 - or it would stand still for ever
                    _log.exception("the %s could not be filled", self.what)
                    await asyncio.sleep(_PAUSE_S)
        finally:
            follower.stop()

    @property
    def is_current(self) -> bool:
        """Whether it is complete and follows live, so that what it says can be relied on."""
        return self.is_complete and self._is_live and self._mesh.connection.state == "connected"

    async def _fill(self) -> None:
        await self.fill()
        if self._fill_again.is_set():
            raise MeshUnavailable("the log began anew meanwhile")
        kept, self._kept = self._kept or [], None
        for message in kept:
            self.apply(message)
        self.filled()
        self.is_complete = True

    # -- what the follower shows (`daena_mesh.follower.Sink`) ----------------------------------------------------

    def event(self, message: Stored, prev: int | None) -> bool:  # noqa: ARG002 - the chain is for sockets
        """Take in an event, or keep it until what came before it is in."""
        if self._kept is not None:
            self._kept.append(message)
            return True
        return self.apply(message)

    def gap(self, before: Cursor, after: Cursor, reason: GapReason) -> None:
        """Something is missing: start from nothing."""
        _log.warning("the %s is made anew: %s between %s and %s", self.what, reason, before, after)
        self._kept = []
        self.is_complete = False
        self.emptied()
        self._fill_again.set()

    def degraded(self) -> None:
        """Events may be missing from now on."""
        self._is_live = False

    def healed(self) -> None:
        """Everything is in again."""
        self._is_live = True
