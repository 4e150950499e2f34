"""Frames of the edge's own: what it says of connections, gaps and errors."""

from __future__ import annotations

import msgspec

from daena_mesh.cursors import Cursor
from daena_mesh.follower import GapReason
from daena_mesh.ids import now
from mesh_edge.frames import text_frame


def control_frame(event_type: str, **members: object) -> bytes:
    """A frame of the edge's own, such as ``connection``, ``gap``, ``error`` or ``pong``."""
    return text_frame(msgspec.json.encode({"event_type": event_type, **members}))


def gap_frame(before: Cursor, after: Cursor, reason: GapReason) -> bytes:
    """The frame that tells of events which cannot be shown."""
    return control_frame("gap", payload={"from": str(before), "to": str(after), "reason": reason}, timestamp=now())
