"""What follows from events that came past the API: a session for a message without one, an end for what was deleted.

Every API does it, and nothing happens twice: a session is created where none is, and a purge of nothing is nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from daena_mesh.errors import DeletedSession, InvalidEvent, MeshError, MeshUnavailable
from daena_mesh.ids import derived_id
from daena_mesh.layout import RECORDS, SIGNALS
from daena_mesh.mesh import Mesh
from daena_mesh.sessions import SessionStore
from daena_mesh.stored import Stored
from mesh_api.facts import Begin, begin_of
from mesh_api.streams import purge

_PAUSE_S = 0.5
_FIRST_FEW = 10
_log = logging.getLogger(__name__)


class Upkeep:
    """Works off what the projection found, in the background."""

    def __init__(self, mesh: Mesh, sessions: SessionStore) -> None:
        self.created = 0
        self.purged = 0
        self._mesh = mesh
        self._sessions = sessions
        self._to_create: dict[str, None] = {}
        self._to_purge: dict[str, None] = {}
        self._wanted = asyncio.Event()

    def want_session(self, session_id: str) -> None:
        """A chat has messages and no session."""
        self._to_create[session_id] = None
        self._wanted.set()

    def want_purge(self, session_id: str) -> None:
        """A deleted session may have messages, or events after its end."""
        self._to_create.pop(session_id, None)
        self._to_purge[session_id] = None
        self._wanted.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._work_off()
            except MeshUnavailable as error:
                _log.info("upkeep of sessions waits: %s", error)
                await self._try_again()
            except Exception:  # noqa: BLE001 - or nothing would be kept up any more
                _log.exception("upkeep of sessions failed")
                await self._try_again()

    async def _try_again(self) -> None:
        await asyncio.sleep(_PAUSE_S)
        self._wanted.set()

    async def _work_off(self) -> None:
        while self._to_purge or self._to_create:
            wanted, work = (self._to_purge, self.purge) if self._to_purge else (self._to_create, self._create)
            session_id = next(iter(wanted))
            try:
                await work(session_id)
            except DeletedSession:
                pass
            except MeshUnavailable:
                raise
            except MeshError as error:
                _log.warning("session %s: %s", session_id, error)
            wanted.pop(session_id, None)

    async def purge(self, session_id: str) -> None:
        """Remove a deleted session's messages, and its events but for the one that says it was deleted.

        Raises `MeshUnavailable`.
        """
        connection = self._mesh.connection
        tombstone = await self._mesh.log.last(RECORDS, f"session.{session_id}.deleted")
        if tombstone is None:
            return
        for gone in ("chat.{}.message", "chat.{}.message.*", "session.{}.created", "session.{}.updated"):
            await purge(connection, RECORDS, gone.format(session_id))
        await purge(connection, SIGNALS, f"chat.{session_id}.>")
        await purge(connection, RECORDS, f"session.{session_id}.>", before=tombstone.seq)
        self.purged += 1

    async def _create(self, session_id: str) -> None:
        log = self._mesh.log
        subject = f"chat.{session_id}.message"
        patterns = (subject, f"{subject}.*")
        batches = [await log.batch(RECORDS, pattern, 0, most=_FIRST_FEW) for pattern in patterns]
        first = sorted((message for batch in batches for message in batch.messages), key=lambda message: message.seq)
        if not first and await log.head(RECORDS, patterns):
            raise MeshUnavailable("a replica of the log lags behind its leader")
        if (begin := _begin(first, self._mesh.settings.max_body_bytes)) is None:
            return
        ack = await self._sessions.create(
            session_id,
            title=begin.title,
            scope_type=begin.scope_type,
            scope_id=begin.scope_id,
            created_by=begin.created_by,
            event_id=derived_id("session of a message", session_id),
        )
        self.created += not ack.duplicate


def _begin(messages: Sequence[Stored], most_bytes: int) -> Begin | None:
    """What the first message says that can be read."""
    for message in messages:
        with contextlib.suppress(InvalidEvent):
            return begin_of(message, most_bytes)
    return None
