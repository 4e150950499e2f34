"""Streams as JetStream holds them: what was ever stored, what is left of it, and what became of the rest."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from daena_mesh.layout import LETTERS, epoch_subject
from daena_mesh.subjects import covers

Kind = Literal["event", "poison", "notice", "marker"]
Gone = Literal["", "ttl", "purge", "limit"]

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def moment(now: float) -> datetime:
    """Give the date at a time of the loop."""
    return _BEGIN + timedelta(seconds=now)


@dataclass(eq=False)
class Entry:
    """One stored message, and its fate."""

    stream: str
    epoch: str
    seq: int
    subject: str
    body: bytes
    headers: bytes
    """Lines of the publisher's, each with its line break."""
    kind: Kind
    at: float
    previous: int
    """The sequence before it on its subject, as the server knew it when it stored it."""
    expires: float | None = None
    gone: Gone = ""
    disturbed: bool = False
    """Its live message was lost, or came late."""

    @property
    def size(self) -> int:
        return len(self.subject) + len(self.body) + len(self.headers) + 30

    @property
    def cursor(self) -> str:
        return f"{LETTERS[self.stream]}{self.epoch}-{self.seq}"

    @property
    def time(self) -> bytes:
        return moment(self.at).strftime("%Y-%m-%dT%H:%M:%S.%f").encode() + b"%03dZ" % (self.seq % 1000)

    def live_headers(self) -> bytes:
        """Give the header block of a republished message."""
        return b"NATS/1.0\r\n%b%bNats-Last-Sequence: %d\r\n\r\n" % (self.headers, self._own(), self.previous)

    def direct_headers(self, pending: int, before: int) -> bytes:
        """Give the header block of a message of a Direct Get."""
        return b"NATS/1.0\r\n%b%bNats-Num-Pending: %d\r\nNats-Last-Sequence: %d\r\n\r\n" % (
            *(self.headers, self._own(), pending, before),
        )

    def as_json(self) -> dict[str, object]:
        """Give it as ``STREAM.MSG.GET`` does."""
        message: dict[str, object] = {
            "subject": self.subject,
            "seq": self.seq,
            "time": self.time.decode(),
            "data": base64.b64encode(self.body).decode(),
        }
        if self.headers:
            message["hdrs"] = base64.b64encode(b"NATS/1.0\r\n" + self.headers + b"\r\n").decode()
        return message

    def _own(self) -> bytes:
        return b"Nats-Stream: %b\r\nNats-Subject: %b\r\nNats-Sequence: %d\r\nNats-Time-Stamp: %b\r\n" % (
            *(self.stream.encode(), self.subject.encode(), self.seq, self.time),
        )


@dataclass
class Stream:
    """A stream, over all its lives."""

    name: str
    max_age_s: float = 0
    max_bytes: int = -1
    epoch: str = ""
    last_seq: int = 0
    entries: dict[int, Entry] = field(default_factory=dict)
    """What is there now, by rising sequence."""
    history: dict[tuple[str, int], Entry] = field(default_factory=dict)
    """What was ever there, by epoch and sequence."""
    _ids: dict[bytes, int] = field(default_factory=dict)
    _lives: int = 0

    def begin(self, now: float, *, anew: bool) -> Entry:
        """Begin another life with the marker of its epoch: ``anew``, with nothing, or with all there is, restored."""
        if anew:
            self._remove(list(self.entries.values()), "purge")
            self.last_seq = 0
        self._ids.clear()
        self._lives += 1
        self.epoch = f"e{self._lives}"
        for entry in self.entries.values():  # a restored stream has what it had, under the epoch that it has now
            self.history[self.epoch, entry.seq] = entry
        headers = b"Nats-Expected-Last-Subject-Sequence: 0\r\n"
        return self.append(epoch_subject(self.name), self.epoch.encode(), now, kind="marker", headers=headers)

    def append(
        self,
        subject: str,
        body: bytes,
        now: float,
        *,
        kind: Kind,
        headers: bytes = b"",
        ttl_s: float | None = None,
        msg_id: bytes = b"",
    ) -> Entry:
        """Store a message."""
        previous = max((e.seq for e in self.entries.values() if e.subject == subject), default=0)
        self.last_seq += 1
        expires = None if ttl_s is None else now + ttl_s
        entry = Entry(
            *(self.name, self.epoch, self.last_seq, subject, body, headers, kind, now, previous), expires=expires
        )
        self.entries[entry.seq] = self.history[self.epoch, entry.seq] = entry
        if msg_id:
            self._ids[msg_id] = entry.seq
        self.keep_limits(now)
        return entry

    def duplicate(self, msg_id: bytes) -> int:
        """Give the sequence that was stored under this id, or 0."""
        return self._ids.get(msg_id, 0)

    def keep_limits(self, now: float) -> None:
        """Remove what has expired, and what is too much."""
        self._remove([e for e in self.entries.values() if e.expires is not None and e.expires <= now], "ttl")
        if self.max_age_s:
            too_old = [e for e in self.entries.values() if e.kind != "marker" and e.at + self.max_age_s <= now]
            self._remove(too_old, "limit")
        while self.max_bytes > 0 and self.size > self.max_bytes:
            self._remove([next(iter(self.entries.values()))], "limit")

    def purge(self, pattern: str) -> None:
        """Remove what is on ``pattern``, as the deletion of a session does."""
        self._remove([e for e in self.entries.values() if covers(pattern, e.subject)], "purge")

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries.values())

    @property
    def first_seq(self) -> int:
        return next(iter(self.entries), self.last_seq + 1)

    def _remove(self, entries: Iterable[Entry], why: Gone) -> None:
        for entry in entries:
            entry.gone = why
            del self.entries[entry.seq]
