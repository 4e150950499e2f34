"""Sessions in the log: each event of a session carries its whole state, so one atomic write makes state and event.

Every write expects the last sequence on ``session.<id>.>``, so two writers cannot overwrite each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from daena_mesh import codec
from daena_mesh.errors import Conflict, DeletedSession, InvalidEvent, UnknownSession
from daena_mesh.events import Session
from daena_mesh.ids import dedup_id, now, uuid7
from daena_mesh.layout import RECORDS
from daena_mesh.log import Ack
from daena_mesh.subjects import check_id, event_type_of, subject_for

if TYPE_CHECKING:
    from daena_mesh.mesh import Mesh
    from daena_mesh.stored import Stored

CHANGEABLE = frozenset({"title", "category", "scope_type", "scope_id", "metadata"})
_TRIES = 100
_NEVER_CHANGES = frozenset(Session.__struct_fields__) - CHANGEABLE


class SessionState(NamedTuple):
    """A session and the sequence of its last event; ``session`` is None once it was deleted."""

    session: Session | None
    seq: int
    event_id: str = ""
    """The id of that last event."""


def state_of(message: Stored) -> SessionState:
    """The state that a session's event carries; raises `InvalidEvent` for one that no service wrote."""
    subject = message.subject.decode()
    if event_type_of(subject) == "session.deleted":
        return SessionState(None, message.seq)
    event = codec.decode(subject, message.body, cursor="", time=message.time.decode(), msg_id=None)
    try:
        return SessionState(msgspec.convert(event.payload.get("session"), Session), message.seq, event.id)
    except msgspec.ValidationError as error:
        raise InvalidEvent(f"{subject} at {message.seq} carries no session: {error}") from None


def changed(session: Session, updates: Mapping[str, Any]) -> Session:
    """``session`` with ``updates``; raises `InvalidEvent` for a key that cannot be changed or a wrong value."""
    if unknown := set(updates) - CHANGEABLE:
        raise InvalidEvent(f"{', '.join(sorted(unknown))} cannot be changed; {', '.join(sorted(CHANGEABLE))} can")
    fields = {**msgspec.structs.asdict(session), **updates, "updated_at": now()}
    try:
        return msgspec.convert(fields, Session)
    except msgspec.ValidationError as error:
        raise InvalidEvent(f"session: {error}") from None


class SessionStore:
    """Reads and writes sessions."""

    def __init__(self, mesh: Mesh) -> None:
        """Through ``mesh``."""
        self._mesh = mesh

    async def read(self, session_id: str) -> SessionState:
        """The state from the stream's leader.

        Raises `InvalidId`, `UnknownSession`, `DeletedSession` and `MeshUnavailable`.
        """
        return SessionState(*await self._existing(session_id))

    async def _existing(self, session_id: str) -> tuple[Session, int, str]:
        check_id(session_id, "session_id")
        message = await self._mesh.log.last(RECORDS, f"session.{session_id}.>")
        if message is None:
            raise UnknownSession(f"there is no session {session_id!r}")
        state = state_of(message)
        if state.session is None:
            raise DeletedSession(f"session {session_id!r} was deleted")
        return state.session, state.seq, state.event_id

    async def create(
        self,
        session_id: str,
        *,
        title: str,
        category: str | None = None,
        scope_type: str = "executive",
        scope_id: str | None = None,
        created_by: str | None = None,
        metadata: dict[str, Any] | None = None,
        event_id: str | None = None,
    ) -> Ack:
        """Create a session; one that exists already stays as it is, and its last event is acknowledged as a duplicate.

        Raises `InvalidId`, `InvalidEvent`, `DeletedSession` and `MeshUnavailable`.
        """
        check_id(session_id, "session_id")
        at = now()
        fields = {
            "session_id": session_id,
            "title": title,
            "category": category,
            "scope_type": scope_type,
            "scope_id": scope_id,
        }
        try:
            session = msgspec.convert(
                {
                    **fields,
                    "created_at": at,
                    "updated_at": at,
                    "created_by": created_by,
                    "metadata": metadata or {},
                },
                Session,
            )
        except msgspec.ValidationError as error:
            raise InvalidEvent(f"session: {error}") from None
        try:
            return await self._write("session.created", session_id, {**fields, "session": session}, 0, event_id)
        except Conflict:
            state = await self.read(session_id)
            return Ack(state.event_id, self._mesh.log.cursor(RECORDS, state.seq), state.seq, duplicate=True)

    async def update(
        self,
        session_id: str,
        updates: Mapping[str, Any],
        *,
        expect: int | None = None,
        event_id: str | None = None,
    ) -> Ack:
        """Change fields of a session. ``expect`` is the sequence that its last event must have.

        Without ``expect`` it is read and tried again while other writers are first. Raises `InvalidId`,
        `UnknownSession`, `DeletedSession`, `InvalidEvent`, `Conflict` and `MeshUnavailable`.
        """

        def payload(session: Session) -> dict[str, Any]:
            return {"updates": dict(updates), "session": changed(session, updates)}

        return await self._rewrite("session.updated", session_id, payload, expect, event_id)

    async def delete(self, session_id: str, *, expect: int | None = None, event_id: str | None = None) -> Ack:
        """Write the deletion of a session; who answers for the stream removes its messages. Raises like `update`."""
        return await self._rewrite("session.deleted", session_id, lambda _session: {}, expect, event_id)

    async def _rewrite(
        self,
        event_type: str,
        session_id: str,
        payload: Callable[[Session], dict[str, Any]],
        expect: int | None,
        event_id: str | None,
    ) -> Ack:
        event_id = event_id or uuid7()
        for attempt in range(_TRIES):
            session, seq, _ = await self._existing(session_id)
            if expect is not None and seq != expect:
                raise Conflict(f"session {session_id!r} was changed by another writer")
            content = {"session_id": session_id, **payload(session)}
            try:
                return await self._write(event_type, session_id, content, seq, event_id)
            except Conflict:
                if expect is not None or attempt == _TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    async def _write(
        self, event_type: str, session_id: str, payload: dict[str, Any], expect: int, event_id: str | None
    ) -> Ack:
        mesh = self._mesh
        event_id = event_id or uuid7()
        subject = subject_for(event_type, session_id)
        body = codec.encode(
            event_type,
            payload,
            event_id=event_id,
            timestamp=now(),
            source=mesh.source,
            most_bytes=mesh.settings.max_body_bytes,
        )
        return await mesh.log.append(
            subject,
            body,
            event_id=event_id,
            msg_id=dedup_id(subject, event_id),
            expect_last=(f"session.{session_id}.>", expect),
        )
