"""Bodies: from events to JSON and back, with bare payloads and poison.

A body is a JSON object with ``event_type`` and ``payload``. An object without ``event_type`` *is* the payload, so
``nats pub agent.scout.activity '{"activity":"searching"}'`` works. Everything else is poison: it is counted, positions
move past it, and no client sees it.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from daena_mesh.errors import InvalidEvent
from daena_mesh.events import Event
from daena_mesh.subjects import event_type_of

MAX_BODY_BYTES = 64 * 1024

_OPENING_BRACE = 0x7B
_Never = Annotated[int, msgspec.Meta(ge=1, le=0)] | msgspec.UnsetType
"""Whatever value stands there is refused: these keys belong to the edge."""


class Poison(InvalidEvent):
    """A stored body that is no event."""


class Envelope(msgspec.Struct, gc=False):
    """The keys that count. Decoding it checks the whole of a body and builds next to nothing."""

    event_type: str | msgspec.UnsetType = msgspec.UNSET
    payload: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    id: str | msgspec.UnsetType = msgspec.UNSET
    timestamp: str | msgspec.UnsetType = msgspec.UNSET
    source: str | msgspec.UnsetType | None = msgspec.UNSET
    cursor: _Never = msgspec.UNSET
    prev: _Never = msgspec.UNSET
    subject: _Never = msgspec.UNSET
    topic: _Never = msgspec.UNSET


class _Object(msgspec.Struct, gc=False):
    """Any JSON object: what is in it is checked, and nothing of it is built."""


class _Whole(msgspec.Struct, gc=False):
    """An envelope that lacks nothing."""

    event_type: str
    payload: _Object
    id: str
    timestamp: str
    source: str | None = None
    cursor: _Never = msgspec.UNSET
    prev: _Never = msgspec.UNSET
    subject: _Never = msgspec.UNSET
    topic: _Never = msgspec.UNSET


class _Type(msgspec.Struct, gc=False):
    event_type: Any = msgspec.UNSET


_envelope = msgspec.json.Decoder(Envelope).decode
_whole = msgspec.json.Decoder(_Whole).decode
_type = msgspec.json.Decoder(_Type).decode
_payload = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode
_UNREADABLE = (UnicodeDecodeError, msgspec.DecodeError, RecursionError)


def encode(
    event_type: str,
    payload: dict[str, Any],
    *,
    event_id: str,
    timestamp: str,
    source: str | None = None,
    most_bytes: int = MAX_BODY_BYTES,
) -> bytes:
    """The body of an event; raises `InvalidEvent` where it would be no JSON object or larger than ``most_bytes``."""
    if not isinstance(payload, dict):
        raise InvalidEvent(f"the payload of {event_type} must be a JSON object, not {type(payload).__name__}")
    fields = {"event_type": event_type, "payload": payload, "id": event_id, "timestamp": timestamp}
    try:
        body = _encode(fields if source is None else {**fields, "source": source})
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidEvent(f"the payload of {event_type} cannot be written as JSON: {error}") from None
    if len(body) > most_bytes:
        raise InvalidEvent(f"the event has {len(body)} bytes, {most_bytes} are allowed (MESH_MAX_BODY_BYTES)")
    return body


def check(body: bytes, event_type: str, most_bytes: int = MAX_BODY_BYTES) -> Envelope:
    """The envelope of a stored body; one whose ``event_type`` is unset is a bare payload. Raises `Poison`."""
    if len(body) > most_bytes:
        raise Poison(f"{len(body)} bytes, {most_bytes} are allowed")
    try:
        body.decode()  # is it UTF-8? msgspec does not look into what it skips
        envelope = _envelope(body)
    except _UNREADABLE as error:
        return _bare(body, error)
    claimed = envelope.event_type
    if claimed is msgspec.UNSET:
        return Envelope()  # its other keys are the payload's own
    if claimed != event_type:
        raise Poison(f"says that it is a {str(claimed)[:80]!a} on a subject of {event_type!r}")
    if envelope.payload is msgspec.UNSET or bytes(envelope.payload).lstrip()[:1] != b"{":
        raise Poison("its payload is not a JSON object")
    return envelope


def check_whole(body: bytes, event_type: str) -> bool:
    """Whether a stored body is an event as our own writers make them: of that type, and with all that readers find.

    Where it is, `check` would pass it, and `splice` would add nothing of its own.
    """
    try:
        if not body.isascii():
            body.decode()
        return _whole(body).event_type == event_type
    except _UNREADABLE:
        return False


def _bare(body: bytes, error: Exception) -> Envelope:
    """A bare payload may use the envelope's keys for whatever it likes; what is no object at all is poison."""
    try:
        body.decode()
        if _type(body).event_type is msgspec.UNSET:
            return Envelope()
    except _UNREADABLE:
        pass
    raise Poison(str(error)) from None


def decode(
    subject: str, body: bytes, *, cursor: str, time: str, msg_id: str | None, most_bytes: int = MAX_BODY_BYTES
) -> Event:
    """The event of a stored message; ``time`` is when it was stored. Raises `Poison`."""
    event_type = event_type_of(subject)
    envelope = check(body, event_type, most_bytes)
    bare = envelope.event_type is msgspec.UNSET
    try:
        payload = _payload(body if bare else envelope.payload)  # type: ignore[arg-type]
    except _UNREADABLE as error:
        raise Poison(str(error)) from None
    return Event(
        event_type=event_type,
        payload=payload,
        id=(msg_id or cursor) if envelope.id is msgspec.UNSET else envelope.id,
        timestamp=time if envelope.timestamp is msgspec.UNSET else envelope.timestamp,
        source=None if envelope.source is msgspec.UNSET else envelope.source,
        subject=subject,
        cursor=cursor,
    )


def splice(head: bytes, body: bytes, envelope: Envelope, *, event_type: bytes, event_id: bytes, time: bytes) -> bytes:
    """One JSON object: ``head`` (an opening brace and members with a comma after each), then what the body says.

    A bare payload is wrapped; an id or a time that the body lacks is added, so that every reader finds the same keys.
    ``event_type``, ``event_id`` and ``time`` hold nothing that JSON would have to escape.
    """
    if envelope.event_type is msgspec.UNSET:
        return b'%b"event_type":"%b","payload":%b,"id":"%b","timestamp":"%b"}' % (
            *(head, event_type, body.strip(), event_id, time),
        )
    if envelope.id is msgspec.UNSET:
        head = b'%b"id":"%b",' % (head, event_id)
    if envelope.timestamp is msgspec.UNSET:
        head = b'%b"timestamp":"%b",' % (head, time)
    if body[0] != _OPENING_BRACE:  # white space first is JSON, but cannot be spliced
        body = body.lstrip()
    return head + body[1:]
