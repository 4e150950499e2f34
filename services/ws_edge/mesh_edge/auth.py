"""``{"type":"auth","token":"…"}``: a client shows a token in a message, its first one or a fresh one."""

from __future__ import annotations

import msgspec

from daena_mesh.ids import now
from mesh_edge.control import control_frame


class Auth(msgspec.Struct, frozen=True, tag_field="type", tag="auth"):
    """``{"type":"auth","token":"…"}``."""

    token: str


_auth = msgspec.json.Decoder(Auth).decode


def read_auth(text: str) -> str:
    """The token in a message, empty where there is none."""
    try:
        return _auth(text).token
    except (msgspec.DecodeError, RecursionError):
        return ""


def renewed_frame(user: str, until: float) -> bytes:
    """The answer to a fresh token."""
    payload = {"status": "renewed", "user": user, "expires_at": until}
    return control_frame("auth", payload=payload, timestamp=now())
