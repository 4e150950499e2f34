"""What one client says in text, message by message, and what becomes of it."""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol

from mesh_edge import closing
from mesh_edge.client_messages import Budget, ClientMessage, read, respond
from mesh_edge.closing import Closing
from mesh_edge.link import Visitor
from mesh_edge.outgoing import Desk, Outgoing, error_frame
from mesh_edge.sending import Author, Refused, SendMessage, read_send
from mesh_edge.token_bucket import TokenBucket

_INNOCENT = frozenset({closing.NORMAL.code, closing.GOING_AWAY.code, closing.RESTART.code})


class Rules(NamedTuple):
    """What is the same for all clients of an edge."""

    desk: Desk
    """Takes what is sent."""
    messages_per_s: float
    """How many messages one client may write in a second."""
    may_write: tuple[str, ...]
    """On which subjects those may send who have no token."""


class Client(Protocol):
    """The socket, as far as it is answered from here."""

    visitor: Visitor

    def send(self, data: bytes) -> None:
        """Write a frame."""

    def takes(self, message: ClientMessage, text: str) -> bool:
        """Whether it is a message for this kind of socket alone, which has acted on it; raises `Refused`."""

    def close(self, why: Closing) -> None:
        """End."""


class Conversation:
    """Made with the first message that a client writes."""

    __slots__ = ("_bucket", "_budget", "_client", "_outgoing", "_rules")

    def __init__(self, client: Client, rules: Rules) -> None:
        """With ``client``."""
        self._client = client
        self._rules = rules
        self._bucket = TokenBucket()
        self._budget = Budget()
        self._outgoing: Outgoing | None = None

    def hear(self, text: str) -> None:
        """Answer a message, now or later."""
        message = read(text)
        client_id = message.client_id if message else None
        if not self._bucket.take(time.monotonic(), self._rules.messages_per_s):
            reason = f"more than {self._rules.messages_per_s:g} messages a second; wait before the next one"
            self._refuse(Refused("too_many", reason, retry_after_ms=1_000), client_id, closing.TOO_MANY)
        else:
            try:
                self._answer(message, text)
            except Refused as refused:
                self._refuse(refused, client_id, closing.BAD_REQUEST)

    def _answer(self, message: ClientMessage | None, text: str) -> None:
        if message is not None and message.type == "send":
            self._send(read_send(text))
        elif message is None or not self._client.takes(message, text):
            reply, ends = respond(message, self._budget)
            if reply:
                self._client.send(reply)
            if ends:
                self._client.close(ends)

    def refuse(self, refused: Refused, client_id: str | None) -> None:
        """Answer a message that could not be judged at once."""
        self._refuse(refused, client_id, closing.BAD_REQUEST)

    def _refuse(self, refused: Refused, client_id: str | None, ends: Closing) -> None:
        self._client.send(error_frame(refused, client_id))
        if not self._budget.spend():
            self._client.close(ends)

    def _send(self, message: SendMessage) -> None:
        if self._outgoing is None:
            self._outgoing = Outgoing(self._client, self._rules.desk)
        visitor = self._client.visitor
        may_write = self._rules.may_write if visitor.may_write is None else visitor.may_write
        self._outgoing.take(message, Author(visitor.user, may_write))

    def closed(self, why: Closing) -> None:
        """The edge closes the socket: of what waits nothing is stored any more, if the client broke the rules."""
        if self._outgoing is not None and why.code not in _INNOCENT:
            self._outgoing.drop()
