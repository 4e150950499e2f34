"""What the edge says itself: of connections, gaps and errors."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from daena_mesh.cursors import Cursor
from daena_mesh.follower import GapReason
from daena_mesh.ids import now
from mesh_edge.frames import text_frame


def control_text(event_type: str, **members: object) -> bytes:
    """What the edge says itself, such as ``connection``, ``gap``, ``error`` or ``pong``, as JSON."""
    return msgspec.json.encode({"event_type": event_type, **members})


def control_frame(event_type: str, **members: object) -> bytes:
    """The same as a frame, for what only WebSockets are told."""
    return text_frame(control_text(event_type, **members))


@lru_cache(maxsize=64)
def connection_text(
    status: str,
    connection_id: str,
    edge: str,
    cursors: tuple[tuple[str, str], ...] | None,
    *,
    recovered: bool,
    missing: tuple[str, ...] = (),
) -> tuple[bytes, bytes]:
    """What tells a client how it is connected, but for two things: what stands before its id, and before the time.

    ``missing`` has the letters of the streams whose events may be missing. Thousands who come back at once are told
    the same.
    """
    payload: dict[str, object] = {
        "status": status,
        "connection_id": connection_id,
        "socket_id": "",
        "edge": edge,
        "recovered": recovered,
    }
    if missing:
        payload["missing"] = missing
    if cursors is not None:
        payload["cursors"] = dict(cursors)
    head, empty, rest = control_text("connection", payload=payload, timestamp="").partition(b'"socket_id":"')
    return head + empty, rest.removesuffix(b'"}')


def gap_text(topic: str, before: Cursor, after: Cursor, reason: GapReason) -> bytes:
    """What tells of events of a topic which cannot be shown."""
    payload = {"from": str(before), "to": str(after), "reason": reason}
    return control_text("gap", topic=topic, payload=payload, timestamp=now())
