"""What the edge says itself: of connections, gaps and errors."""

from __future__ import annotations

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


def gap_text(topic: str, before: Cursor, after: Cursor, reason: GapReason) -> bytes:
    """What tells of events of a topic which cannot be shown."""
    payload = {"from": str(before), "to": str(after), "reason": reason}
    return control_text("gap", topic=topic, payload=payload, timestamp=now())
