"""What a client says in WebSocket frames, and how it is refused."""

from __future__ import annotations

import msgspec

from daena_mesh.errors import MeshError
from mesh_edge import closing


class Text(msgspec.Struct, frozen=True, gc=False):
    """A text message."""

    text: str


class Binary(msgspec.Struct, frozen=True, gc=False):
    """A binary message; whoever understands text alone closes with `closing.UNSUPPORTED_DATA`."""

    payload: bytes


class Ping(msgspec.Struct, frozen=True, gc=False):
    """A ping, to be answered by a pong of the same payload."""

    payload: bytes


class Pong(msgspec.Struct, frozen=True, gc=False):
    """A pong, whether it answers a ping or not."""

    payload: bytes


class Close(msgspec.Struct, frozen=True, gc=False):
    """The client closes; `code` is `NO_STATUS` where it gave none. Nothing after it is parsed."""

    code: int
    reason: str


Message = Text | Binary | Ping | Pong | Close


class ProtocolViolation(MeshError):
    """The client broke RFC 6455 or the limit: close with `code` and `reason`, and read no further.

    Args:
        code: 1002, 1007 or 1009, for the close frame.
        reason: one sentence, for the close frame.
    """

    before: tuple[Message, ...] = ()
    """The messages of the same data that were whole before the violation."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def malformed(reason: str) -> ProtocolViolation:
    """The frames break RFC 6455."""
    return ProtocolViolation(closing.PROTOCOL_ERROR.code, reason)


def not_utf8(reason: str = closing.INVALID_DATA.reason) -> ProtocolViolation:
    """What must be UTF-8 is not."""
    return ProtocolViolation(closing.INVALID_DATA.code, reason)
