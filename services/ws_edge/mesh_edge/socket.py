"""A WebSocket, after the handshake: what stays in memory for one client."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from mesh_edge import closing
from mesh_edge.auth import read_auth, renewed_frame
from mesh_edge.client_messages import ClientMessage
from mesh_edge.closing import Closing
from mesh_edge.conversation import Conversation
from mesh_edge.frame_parser import Pending, parse
from mesh_edge.frames import close_frame, ping_frame, pong_frame
from mesh_edge.link import Host, Link
from mesh_edge.messages import Binary, Close, Message, Ping, ProtocolViolation, Text
from mesh_edge.reader import Reader
from mesh_edge.wire import FRAMES

if TYPE_CHECKING:
    from mesh_edge.topic import Topic

_PING = ping_frame()
_CLOSE_WITHIN_S = 2.0
_MOST_UNREAD = 1_048_576
"""Bytes; a piece of a replay is a quarter of it."""


class WebSocket(Link, asyncio.Protocol):
    """A connection that speaks RFC 6455; whom it feeds is said by its kinds."""

    __slots__ = ("_conversation", "_pending")

    wire = FRAMES

    def __init__(self, transport: asyncio.Transport, host: Host) -> None:
        """Takes over ``transport``."""
        super().__init__(transport, host)
        self._pending: Pending | None = None
        self._conversation: Conversation | None = None

    # -- to the client ------------------------------------------------------------------------------------------

    def ping(self) -> None:
        """Ask whether the peer is alive. One with something held back would read that first: it may be stuck."""
        if self.is_drained:
            self.send(_PING)

    def close(self, why: Closing, reason: str = "") -> None:
        """Say why, and end; the peer has two seconds to answer."""
        if self._closing:
            return
        self._host.counts.closed[str(why.code)] += 1
        self.leave()
        if self._conversation is not None:
            self._conversation.closed(why)
        self.transport.write(close_frame(why.code, reason or why.reason))
        self._closing = True
        asyncio.get_running_loop().call_later(_CLOSE_WITHIN_S, self.transport.abort)

    def shutdown(self) -> None:
        """Uvicorn stops."""
        self.close(closing.RESTART)
        self.transport.close()

    # -- from the client ----------------------------------------------------------------------------------------

    @property
    def most_bytes(self) -> int:
        """How large a message may be."""
        return self._host.frame_bytes

    def data_received(self, data: bytes) -> None:
        """Frames, or parts of them."""
        self.heard = time.monotonic()
        if self._closing:
            if _has_close(data):
                self.transport.close()
            return
        try:
            messages, self._pending = parse(data, self._pending, self.most_bytes)
        except ProtocolViolation as violation:
            self._take(list(violation.before))
            self.close(closing.PROTOCOL_ERROR._replace(code=violation.code, reason=violation.reason))
            return
        self._take(messages)

    def _take(self, messages: list[Message]) -> None:
        for message in messages:
            if self._closing:
                return
            if isinstance(message, (Text, Ping)) and self.transport.get_write_buffer_size() > _MOST_UNREAD:
                self.close(closing.TOO_SLOW)  # it asks, and does not read the answers
            elif isinstance(message, Text):
                self._answer(message.text)
            elif isinstance(message, Ping):
                self.send(pong_frame(message.payload))
            elif isinstance(message, Close):
                self._host.counts.closed["client"] += 1
                self.leave()
                self.transport.write(close_frame(message.code))
                self._closing = True
                self.transport.close()
            elif isinstance(message, Binary):
                self.close(closing.UNSUPPORTED_DATA)

    def _answer(self, text: str) -> None:
        if self._conversation is None:
            self._conversation = Conversation(self, self._host.rules)
        self._conversation.hear(text)

    def takes(self, message: ClientMessage, text: str) -> bool:
        """Whether it is a message for this kind of socket alone, which has acted on it; raises `Refused`."""
        if message.type != "auth" or self.visitor.user is None:
            return False
        token = read_auth(text)
        self._host.settle(token, partial(self._renew, token))
        return True

    def _renew(self, token: str) -> None:
        if self._closing or self._is_lost:
            return  # while the key of the token was fetched
        if (why := self._host.renew(self, token)) is not None:
            self.close(why)
        else:
            self.send(renewed_frame(self.visitor.user or "", self.visitor.until))

    def _let_go(self) -> None:
        super()._let_go()
        self._conversation = None

    def text_received(self, text: str) -> None:
        """A message that was read before the hand-over."""
        self._take([Text(text)])

    def go_on(self, messages: list[Message], pending: Pending | None) -> None:
        """Take the place of another socket on this connection, which has read so much."""
        self._pending = pending
        self._take(messages)


class Socket(WebSocket):
    """A WebSocket that follows one topic."""

    __slots__ = ("reader",)

    def __init__(self, transport: asyncio.Transport, topic: Topic, host: Host) -> None:
        """Takes over ``transport``; `Topic.join` comes next."""
        super().__init__(transport, host)
        self.reader = Reader(self, topic)

    @property
    def readers(self) -> tuple[Reader]:
        """The only one."""
        return (self.reader,)

    def _let_go(self) -> None:
        super()._let_go()
        del self.reader


def _has_close(data: bytes) -> bool:
    """Whether the peer answers our close frame; whatever else it still sends does not matter."""
    return data[:1] == b"\x88" or b"\x88\x82" in data or b"\x88\x80" in data
