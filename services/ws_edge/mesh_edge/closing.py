"""Why the edge closes a WebSocket, as data: one table for the edge, its clients and the documentation."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Reconnect(StrEnum):
    """What a client does after a close."""

    NO = "no"
    YES = "yes"
    LATER = "later"
    AS_TOLD = "as told"
    AFTER_TOKEN = "after a new token"  # noqa: S105 - an instruction, no secret


class Closing(NamedTuple):
    """One way for a connection to end.

    Args:
        code: the status code of the close frame, RFC 6455 section 7.4; 4000 to 4999 are ours.
        name: what code and logs call it, one word or words joined by hyphens.
        reason: the text of the close frame, at most 123 bytes of UTF-8.
        reconnect: what the client does next.
    """

    code: int
    name: str
    reason: str
    reconnect: Reconnect

    @property
    def resume(self) -> bool:
        """Whether the client comes back with its cursors: whoever may come back loses nothing."""
        return self.reconnect is not Reconnect.NO


NORMAL = Closing(1000, "normal", "done", Reconnect.NO)
GOING_AWAY = Closing(1001, "going-away", "the edge is stopping", Reconnect.YES)
PROTOCOL_ERROR = Closing(1002, "protocol-error", "not the WebSocket protocol", Reconnect.NO)
UNSUPPORTED_DATA = Closing(1003, "unsupported-data", "only text messages are understood", Reconnect.NO)
INVALID_DATA = Closing(1007, "invalid-data", "a text message is not UTF-8", Reconnect.NO)
TOO_BIG = Closing(1009, "too-big", "a message is larger than this edge accepts", Reconnect.YES)
INTERNAL_ERROR = Closing(1011, "internal-error", "the edge failed", Reconnect.LATER)
RESTART = Closing(1012, "restart", "the edge restarts", Reconnect.AS_TOLD)
BAD_REQUEST = Closing(4400, "bad-request", "the request or its messages make no sense", Reconnect.NO)
UNAUTHENTICATED = Closing(4401, "unauthenticated", "the token is missing, wrong or expired", Reconnect.AFTER_TOKEN)
FORBIDDEN = Closing(4403, "forbidden", "the token does not allow this topic", Reconnect.NO)
TOO_SLOW = Closing(4408, "too-slow", "the client did not keep up", Reconnect.YES)
TOO_MANY = Closing(4429, "too-many", "too many connections, topics or messages", Reconnect.LATER)

CLOSINGS = (
    NORMAL,
    GOING_AWAY,
    PROTOCOL_ERROR,
    UNSUPPORTED_DATA,
    INVALID_DATA,
    TOO_BIG,
    INTERNAL_ERROR,
    RESTART,
    BAD_REQUEST,
    UNAUTHENTICATED,
    FORBIDDEN,
    TOO_SLOW,
    TOO_MANY,
)
"""Every way in which an edge closes a connection, by rising code."""


def close_code_table() -> str:
    """Render `CLOSINGS` as the Markdown table of ``docs/protocol.md``, without a final line feed."""
    lines = ["| code | name | reason | reconnect | resume |", "|---|---|---|---|---|"]
    lines += [
        f"| {closing.code} | `{closing.name}` | {closing.reason} | {closing.reconnect}"
        f" | {'yes' if closing.resume else 'no'} |"
        for closing in CLOSINGS
    ]
    return "\n".join(lines)
