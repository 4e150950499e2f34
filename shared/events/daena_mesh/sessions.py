"""Sessions in the log: each event of a session carries its whole state, so one atomic write makes state and event.

Every write expects the last sequence on ``session.<id>.>``, so two writers cannot overwrite each other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from daena_mesh import codec, membership, replay
from daena_mesh.errors import Conflict, DeletedSession, InvalidEvent, UnknownSession
from daena_mesh.events import Session
from daena_mesh.ids import dedup_id, now, uuid7
from daena_mesh.layout import RECORDS
from daena_mesh.log import Ack
from daena_mesh.stored import kind_of
from daena_mesh.subjects import check_id, subject_for

if TYPE_CHECKING:
    from daena_mesh.mesh import Mesh
    from daena_mesh.stored import Stored

CHANGEABLE = frozenset({"title", "category", "scope_type", "scope_id", "metadata"})
Allowed = Callable[[Session], None]
"""Raises where a session, as it is when it is written, does not let whoever writes do so."""

_TRIES = 100
_LOOK_BACK = 100


class SessionState(NamedTuple):
    """What an event says of a session; ``session`` is None in the one that says it was deleted."""

    session: Session | None
    seq: int
    event_id: str


class Known(NamedTuple):
    """A session that exists, with the sequence and the id of its last event."""

    session: Session
    seq: int
    event_id: str


class _Terms(NamedTuple):
    """Under which a change is written: see `SessionStore.update`."""

    expect: int | None
    event_id: str | None
    allowed: Allowed | None


def state_of(message: Stored, most_bytes: int = codec.MAX_BODY_BYTES) -> SessionState:
    """The state that a session's event carries; raises `InvalidEvent` for one that no service wrote."""
    if (kind := kind_of(message.subject)) is None:
        raise InvalidEvent(f"{message.subject[:80]!a} is no subject of ours")
    subject = kind.subject
    event = codec.decode(
        subject, message.body, cursor="", time=message.time.decode(), msg_id=None, most_bytes=most_bytes
    )
    session_id = subject.split(".")[1]
    if event.event_type == "session.deleted" and event.payload.get("session_id") == session_id:
        return SessionState(None, message.seq, event.id)
    if event.event_type not in {"session.created", "session.updated"}:
        raise InvalidEvent(f"{subject} at {message.seq} says nothing of a session's state")
    try:
        session = msgspec.convert(event.payload.get("session"), Session)
    except msgspec.ValidationError as error:
        raise InvalidEvent(f"{subject} at {message.seq} carries no session: {error}") from None
    if session.session_id != session_id:
        raise InvalidEvent(f"{subject} at {message.seq} carries another session")
    return SessionState(session, message.seq, event.id)


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

    async def read(self, session_id: str) -> Known:
        """The session from the stream's leader.

        Raises `InvalidId`, `UnknownSession`, `DeletedSession` and `MeshUnavailable`.
        """
        state, _ = await self._look(session_id)
        return _known(session_id, state)

    async def state(self, session_id: str) -> SessionState | None:
        """What the session's newest event says, from the stream's leader; None where there never was one.

        Raises `InvalidId` and `MeshUnavailable`.
        """
        return (await self._look(session_id))[0]

    async def _look(self, session_id: str) -> tuple[SessionState | None, int]:
        """What the session's newest event says, and the last sequence on its subjects.

        Whoever may publish can put something on top that is no state: then what lies below it counts.
        """
        check_id(session_id, "session_id")
        log = self._mesh.log
        pattern = f"session.{session_id}.>"
        top = await log.last(RECORDS, pattern)
        if top is None:
            return None, 0
        with contextlib.suppress(InvalidEvent):
            return state_of(top, log.settings.max_body_bytes), top.seq
        for message in reversed(await replay.newest(log, RECORDS, (pattern,), _LOOK_BACK, before=top.seq)):
            with contextlib.suppress(InvalidEvent):
                return state_of(message, log.settings.max_body_bytes), top.seq
        return None, top.seq

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
        content = {**fields, "session": session}
        expect = 0
        for _ in range(_TRIES):
            try:
                return await self._write("session.created", session_id, content, expect, event_id)
            except Conflict:
                state, expect = await self._look(session_id)
            if state is not None:
                known = _known(session_id, state)
                if event_id is not None and (own := await self._find(session_id, event_id, 0)) is not None:
                    return own
                return self._acknowledge(known.event_id, known.seq)
        raise Conflict(f"session {session_id!r} is being written to by others")

    async def update(
        self,
        session_id: str,
        updates: Mapping[str, Any],
        *,
        expect: int | None = None,
        event_id: str | None = None,
        allowed: Allowed | None = None,
    ) -> Ack:
        """Change fields of a session. ``expect`` is the sequence that its last event must have.

        Without ``expect`` it is read and tried again while other writers are first. Under an ``event_id`` that was
        written before nothing happens: that event is acknowledged as a duplicate. ``allowed`` is asked of the very
        session that is changed. Raises `InvalidId`, `UnknownSession`, `DeletedSession`, `InvalidEvent`, `Conflict` and
        `MeshUnavailable`.
        """

        def payload(session: Session) -> dict[str, Any]:
            return {"updates": dict(updates), "session": changed(session, updates)}

        return await self._rewrite("session.updated", session_id, payload, _Terms(expect, event_id, allowed))

    async def share(
        self,
        session_id: str,
        *,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        expect: int | None = None,
        event_id: str | None = None,
        allowed: Allowed | None = None,
    ) -> Ack:
        """Add members to a session, and remove others; raises like `update`."""
        more, fewer = tuple(add), tuple(remove)

        def payload(session: Session) -> dict[str, Any]:
            members = membership.shared(session, more, fewer)
            state = msgspec.structs.replace(session, members=tuple(members), updated_at=now())
            return {"updates": {"members": members}, "session": state}

        return await self._rewrite("session.updated", session_id, payload, _Terms(expect, event_id, allowed))

    async def delete(
        self,
        session_id: str,
        *,
        expect: int | None = None,
        event_id: str | None = None,
        allowed: Allowed | None = None,
    ) -> Ack:
        """Write the deletion of a session; who answers for the stream removes its messages. Raises like `update`."""
        return await self._rewrite(
            "session.deleted", session_id, lambda _session: {}, _Terms(expect, event_id, allowed)
        )

    async def _rewrite(
        self,
        event_type: str,
        session_id: str,
        payload: Callable[[Session], dict[str, Any]],
        terms: _Terms,
    ) -> Ack:
        expect, event_id, allowed = terms
        may_repeat = event_id is not None
        event_id = event_id or uuid7()
        for _ in range(_TRIES):
            state, last = await self._look(session_id)
            if state is not None and state.event_id == event_id:
                return self._acknowledge(event_id, state.seq)
            known = _known(session_id, state)
            if allowed is not None:
                allowed(known.session)
            if expect is None or known.seq == expect:
                content = {"session_id": session_id, **payload(known.session)}
                with contextlib.suppress(Conflict):
                    return await self._write(event_type, session_id, content, last, event_id)
                may_repeat = True  # the answer to an earlier attempt may have been lost, and others wrote since
            if may_repeat and (own := await self._find(session_id, event_id, expect or last)) is not None:
                return own
            if expect is not None:
                break
        raise Conflict(f"session {session_id!r} was changed by another writer")

    async def _find(self, session_id: str, event_id: str, after: int) -> Ack | None:
        """The event ``event_id``, if it was written behind ``after``.

        The stream compares the expected sequence before it looks at ids, so a write that came through already is told
        as a conflict when it is tried again.
        """
        log, pattern = self._mesh.log, f"session.{session_id}.>"
        head = await log.head(RECORDS, (pattern,))
        while after < head:
            chunk = await replay.read(log, {RECORDS: (pattern,)}, {RECORDS: after}, reach={RECORDS: head})
            for message in chunk.messages:
                with contextlib.suppress(InvalidEvent):
                    if state_of(message, log.settings.max_body_bytes).event_id == event_id:
                        return self._acknowledge(event_id, message.seq)
            after = head if chunk.ended else chunk.positions[RECORDS]
        return None

    def _acknowledge(self, event_id: str, seq: int) -> Ack:
        """Acknowledge an event that was there already."""
        return Ack(event_id, self._mesh.log.cursor(RECORDS, seq), seq, duplicate=True)

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


def _known(session_id: str, state: SessionState | None) -> Known:
    if state is None:
        raise UnknownSession(f"there is no session {session_id!r}")
    if state.session is None:
        raise DeletedSession(f"session {session_id!r} was deleted")
    return Known(state.session, state.seq, state.event_id)
