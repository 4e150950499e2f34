"""The list of sessions, as the log's events make it. Pure: no clock, no I/O.

Sessions and messages share one stream, so its sequence is the order of time: *newest first* is by the greater sequence
of a session's last event and its last message.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, insort
from typing import NamedTuple

import msgspec

from daena_mesh.events import Session
from daena_mesh.membership import NOBODY, Circle, circle_of
from mesh_api.facts import Changed, Deleted, Fact, LastMessage, Said

_SLACK = 1_024
_KEPT_FIELDS = tuple(name for name in Session.__struct_fields__ if name != "session_id")


_values = msgspec.json.Decoder(list[msgspec.Raw]).decode
_message = msgspec.json.Decoder(tuple[str, str, str, str]).decode


class Row(NamedTuple):
    """A session in a list."""

    session_id: str
    session: msgspec.Raw
    """The session as JSON."""
    seq: int
    """The sequence of its last event."""
    touched: int
    """The greater of that and the sequence of its last message: where it stands in the list."""
    message_count: int
    said: int
    """The sequence of its last message, or 0."""
    last_message: LastMessage | None


class _Entry(msgspec.Struct, gc=False):
    """What is known under one id. States and messages are kept as JSON, without the names of their fields.

    With 100,000 sessions this is the memory of an API: `python -m tests.soak.projection` tells how much.
    """

    seq: int = 0
    state: bytes = b""
    scope_type: str = ""
    scope_id: str | None = None
    category: str | None = None
    said: int = 0
    last: bytes = b""
    count: int = 0
    counted_to: int = 0
    touched: int = 0
    circle: Circle = NOBODY


class Projection:
    """All sessions, their counts of messages and each chat's last one."""

    def __init__(self, *, by_user: bool = False, is_ordered: bool = True) -> None:
        """``by_user``: know which sessions belong to whom. ``is_ordered``: keep them in order from the beginning."""
        self._is_ordered = is_ordered
        self._entries: dict[str, _Entry] = {}
        self._by_user: dict[str, set[str]] | None = {} if by_user else None
        self._deleted: dict[str, int] = {}
        self._order: list[tuple[int, str]] = []
        """By `touched`, with entries that were touched again since: those are skipped, and swept now and then."""
        self._sessions = 0

    def __len__(self) -> int:
        """How many sessions there are."""
        return self._sessions

    def apply(self, fact: Fact) -> None:
        """Take in a fact. Of a session the highest sequence counts; what was deleted does not come back."""
        session_id = fact.session_id
        if isinstance(fact, Deleted):
            self._deleted[session_id] = max(fact.seq, self._deleted.get(session_id, 0))
            if (gone := self._entries.pop(session_id, None)) is not None and gone.state:
                self._sessions -= 1
                self._note_circle(session_id, gone, NOBODY)
        elif session_id not in self._deleted:
            entry = self._entries.get(session_id)
            if entry is None:
                entry = self._entries[session_id] = _Entry()
            if isinstance(fact, Said):
                _say(entry, fact)
            else:
                self._sessions += not entry.state
                if fact.seq > entry.seq:
                    _change(entry, fact)
                    self._note_circle(session_id, entry, circle_of(fact.session))
            self._touch(session_id, entry)

    def _note_circle(self, session_id: str, entry: _Entry, circle: Circle) -> None:
        if self._by_user is None or circle == entry.circle:
            return
        for user in _users(entry.circle):
            sessions = self._by_user[user]
            sessions.discard(session_id)
            if not sessions:
                del self._by_user[user]
        for user in _users(circle):
            self._by_user.setdefault(user, set()).add(session_id)
        entry.circle = circle

    def _touch(self, session_id: str, entry: _Entry) -> None:
        touched = max(entry.seq, entry.said)
        if not entry.state or touched == entry.touched:
            return
        entry.touched = touched
        if not self._is_ordered:
            return
        if self._order and touched < self._order[-1][0]:
            insort(self._order, (touched, session_id))
        else:
            self._order.append((touched, session_id))
        if len(self._order) > 2 * self._sessions + _SLACK:
            self._order = [place for place in self._order if self._stands(place)]

    def order(self) -> None:
        """All of the log is in: put the sessions in order, and keep them so."""
        self._is_ordered = True
        touched = ((entry.touched, session_id) for session_id, entry in self._entries.items() if entry.state)
        self._order = sorted(touched)

    def _stands(self, place: tuple[int, str]) -> bool:
        entry = self._entries.get(place[1])
        return entry is not None and entry.touched == place[0]

    def set_count(self, session_id: str, count: int, up_to: int) -> None:
        """A chat had ``count`` messages up to the sequence ``up_to``; later ones are counted as they come."""
        if (entry := self._entries.get(session_id)) is not None:
            entry.count, entry.counted_to = count, up_to

    # -- what it says -------------------------------------------------------------------------------------------

    def has(self, session_id: str) -> bool:
        """Whether there is such a session."""
        entry = self._entries.get(session_id)
        return entry is not None and bool(entry.state)

    def is_deleted(self, session_id: str) -> bool:
        """Whether there was such a session."""
        return session_id in self._deleted

    def belonging_to(self, user: str | None) -> frozenset[str]:
        """The sessions of which ``user`` is owner or member."""
        return frozenset((self._by_user or {}).get(user or "", ()))

    def last_said(self, session_id: str) -> int:
        """The sequence of a chat's last message, or 0."""
        entry = self._entries.get(session_id)
        return entry.said if entry is not None else 0

    def row(self, session_id: str) -> Row | None:
        """One session."""
        entry = self._entries.get(session_id)
        return _row(session_id, entry) if entry is not None and entry.state else None

    def newest(
        self,
        *,
        limit: int,
        before: int | None = None,
        scope_type: str | None = None,
        scope_id: str | None = None,
        category: str | None = None,
        only: frozenset[str] | None = None,
    ) -> tuple[list[Row], int | None]:
        """At most ``limit`` sessions touched before the sequence ``before``, newest first; and where to go on.

        ``only``: of these ids alone.
        """
        rows: list[Row] = []
        order = self._order if only is None else self._places(only)
        end = len(order) if before is None else bisect_left(order, (before, ""))
        for i in range(end - 1, -1, -1):
            touched, session_id = order[i]
            entry = self._entries.get(session_id)
            if (
                entry is None
                or entry.touched != touched
                or (scope_type is not None and entry.scope_type != scope_type)
                or (scope_id is not None and entry.scope_id != scope_id)
                or (category is not None and entry.category != category)
            ):
                continue
            if len(rows) == limit:
                return rows, rows[-1].touched
            rows.append(_row(session_id, entry))
        return rows, None

    def _places(self, ids: frozenset[str]) -> list[tuple[int, str]]:
        found = ((ident, self._entries.get(ident)) for ident in ids)
        return sorted((entry.touched, ident) for ident, entry in found if entry is not None and entry.state)

    def orphans(self) -> list[str]:
        """Chats that have messages and no session."""
        return [session_id for session_id, entry in self._entries.items() if not entry.state]


def _users(circle: Circle) -> set[str]:
    return {*circle.members, *([circle.owner] if circle.owner else [])}


def _change(entry: _Entry, fact: Changed) -> None:
    session = fact.session
    entry.seq = fact.seq
    entry.state = msgspec.json.encode([getattr(session, name) for name in _KEPT_FIELDS])
    # A few values stand for very many sessions.
    entry.scope_type = sys.intern(session.scope_type)
    entry.scope_id = session.scope_id if session.scope_id is None else sys.intern(session.scope_id)
    entry.category = session.category if session.category is None else sys.intern(session.category)


def _say(entry: _Entry, fact: Said) -> None:
    if fact.seq > entry.counted_to:
        entry.count += 1
        entry.counted_to = fact.seq
    if fact.seq > entry.said:
        entry.said, entry.last = fact.seq, msgspec.json.encode(msgspec.structs.astuple(fact.message))


def _row(session_id: str, entry: _Entry) -> Row:
    values = zip(_KEPT_FIELDS, _values(entry.state), strict=True)
    session = msgspec.Raw(msgspec.json.encode({"session_id": session_id, **dict(values)}))
    last = LastMessage(*_message(entry.last)) if entry.last else None
    return Row(session_id, session, entry.seq, entry.touched, entry.count, entry.said, last)
