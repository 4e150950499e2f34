"""What a client may say in text messages, and the answers."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
from msgspec import Meta

from daena_mesh.ids import now
from mesh_edge import closing
from mesh_edge.closing import Closing
from mesh_edge.control import control_frame
from mesh_edge.frames import text_frame

MOST_ERRORS = 10
_WITHIN_S = 60.0


class ClientMessage(msgspec.Struct):
    """The members that the edge looks at first."""

    type: str
    timestamp: msgspec.Raw = msgspec.Raw(b"null")
    id: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def client_id(self) -> str | None:
        """The id under which it is answered, where it has one that can be."""
        try:
            return _client_id(self.id)
        except (msgspec.DecodeError, RecursionError):
            return None


class Budget:
    """How many broken messages a client has sent lately: ten in a minute close its socket."""

    __slots__ = ("_errors", "_since")

    def __init__(self) -> None:
        self._since = 0.0
        self._errors = 0

    def spend(self) -> bool:
        """Note one more; False once there are too many."""
        at = time.monotonic()
        if at - self._since > _WITHIN_S:
            self._since, self._errors = at, 0
        self._errors += 1
        return self._errors < MOST_ERRORS


ClientId = Annotated[str, Meta(min_length=1, max_length=128)]

_decode = msgspec.json.Decoder(ClientMessage).decode
_client_id = msgspec.json.Decoder(ClientId).decode


def read(text: str) -> ClientMessage | None:
    """What a client says, as far as every message has it; None for what is no message."""
    try:
        return _decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None


def answer(text: str, budget: Budget) -> tuple[bytes, Closing | None]:
    """The frame to answer with (perhaps empty), and why to close, if at all."""
    return respond(read(text), budget)


def respond(message: ClientMessage | None, budget: Budget) -> tuple[bytes, Closing | None]:
    """The same for a message that was `read`."""
    if message is None:
        return _error(budget, "bad_message", "a message is a JSON object with a member 'type'")
    if message.type == "ping":
        # The same bytes come back: the client's clock is none of our business.
        return text_frame(b'{"event_type":"pong","timestamp":%b}' % bytes(message.timestamp)), None
    if message.type == "pong":
        return b"", None
    if message.type == "auth":
        return _error(budget, "auth_too_late", "nobody authenticates here: this socket has no token to renew")
    shown = ascii(message.type[:40])
    return _error(budget, "unknown_type", f"the type {shown} is not known; 'ping', 'pong' and 'send' are")


def _error(budget: Budget, code: str, message: str) -> tuple[bytes, Closing | None]:
    frame = control_frame("error", payload={"code": code, "message": message}, timestamp=now())
    return frame, None if budget.spend() else closing.BAD_REQUEST
