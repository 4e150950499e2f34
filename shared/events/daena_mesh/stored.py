"""A message as a stream holds it, and how to read it off the wire.

The server appends its own headers after the publisher's, in fixed order, so only the last ones are believed. Source:
nats-server's ``server/stream.go`` (republish, Direct Get), seen on the wire with 2.15.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from daena_mesh.errors import MeshError
from daena_mesh.subjects import Subject

_msg_id = re.compile(rb"\r\nNats-Msg-Id: *([!-~]{1,128}) *\r\n", re.IGNORECASE)
_quotable = re.compile(rb"[A-Za-z0-9_.:-]+").fullmatch
_LIVE = b"live."


class Stored(msgspec.Struct, gc=False):
    """One stored message."""

    stream: str
    subject: bytes
    seq: int
    previous: int
    """Live: the sequence before it on its subject. Replayed: the sequence before it in the batch."""
    time: bytes
    """When it was stored: RFC 3339, UTC, to the nanosecond."""
    headers: bytes
    """The publisher's header block, without the server's part."""
    body: bytes

    @property
    def msg_id(self) -> bytes | None:
        """``Nats-Msg-Id``, if it has one that can stand in JSON as it is."""
        found = _msg_id.search(self.headers + b"\r\n")
        return found[1] if found and _quotable(found[1]) else None


class Kind(msgspec.Struct, frozen=True, gc=False):
    """What the subject of an event says."""

    subject: str
    event_type: str


@lru_cache(maxsize=16_384)
def kind_of(subject: bytes) -> Kind | None:
    """The kind of an event on ``subject``; None for one that breaks the grammar: anybody may publish to NATS."""
    try:
        text = subject.decode("ascii")
        return Kind(text, Subject.parse(text).event_type)
    except (MeshError, UnicodeDecodeError):
        return None


def read_live(streams: Mapping[bytes, str], subject: bytes, reply: bytes, headers: bytes, body: bytes) -> Stored | None:
    """A republished message, or None if the server did not republish it.

    Whoever may publish can have an acknowledgement or a stored message sent to any ``live.`` subject, with forged
    headers. So there must be no reply, the subject must be the stored one, and the last headers must be the server's.
    ``streams`` maps the header line of each stream that counts, such as ``Nats-Stream: RECORDS``, to its name.
    """
    lines = headers.rsplit(b"\r\n", 7)  # …, stream, subject, sequence, time, last sequence, "", ""
    if reply or len(lines) != 8 or lines[6] or lines[7]:
        return None
    stream = streams.get(lines[1])
    if (
        stream is None
        or lines[2] != b"Nats-Subject: " + subject[5:]
        or subject[:5] != _LIVE
        or lines[3][:15] != b"Nats-Sequence: "
        or lines[4][:17] != b"Nats-Time-Stamp: "
        or lines[5][:20] != b"Nats-Last-Sequence: "
    ):
        return None
    try:
        return Stored(stream, subject[5:], int(lines[3][15:]), int(lines[5][20:]), lines[4][17:], lines[0], body)
    except ValueError:
        return None


def read_direct(stream: str, headers: bytes, body: bytes) -> tuple[Stored, int] | None:
    """A message of a Direct Get batch and how many are pending after it, or None if it is none of ``stream``."""
    lines = headers.rsplit(b"\r\n", 8)  # …, stream, subject, sequence, time, pending, last sequence, "", ""
    if len(lines) != 9 or lines[1] != b"Nats-Stream: " + stream.encode() or lines[5][:18] != b"Nats-Num-Pending: ":
        return None
    stored = Stored(stream, lines[2][14:], int(lines[3][15:]), int(lines[6][20:]), lines[4][17:], lines[0], body)
    return stored, int(lines[5][18:])


def status_of(headers: bytes) -> int:
    """The status of a reply that carries no message (204, 404, 408, 503 …), or 0."""
    return int(headers[9:12]) if headers.startswith(b"NATS/1.0 ") and headers[9:12].isdigit() else 0
