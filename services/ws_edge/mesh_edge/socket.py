"""What stays in memory for one client: a protocol on a transport that FastAPI's handshake handed over."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from daena_mesh.stored import Stored
from mesh_edge import closing
from mesh_edge.client_messages import Budget, answer
from mesh_edge.closing import Closing
from mesh_edge.frame_parser import Pending, parse
from mesh_edge.frames import close_frame, ping_frame, pong_frame
from mesh_edge.messages import Binary, Close, Message, Ping, ProtocolViolation, Text

if TYPE_CHECKING:
    from mesh_edge.topic import Topic

_PING = ping_frame()
_CLOSE_WITHIN_S = 2.0
_MOST_LIVED = 16
_MOST_UNREAD = 1_048_576
"""Bytes; a piece of a replay is a quarter of it."""


class Host(Protocol):
    """The edge, as its sockets see it."""

    behind_bytes: int
    frame_bytes: int

    def lost(self, socket: Socket) -> None:
        """The connection is gone."""


class Socket(asyncio.Protocol):
    """One client's connection, after the handshake."""

    __slots__ = (
        *("announce", "connected_at", "fd", "heard", "is_drained", "joined", "lived", "metadata", "positions"),
        *("stuck_since", "topic", "transport", "user_agent"),
        *("_budget", "_closing", "_given", "_host", "_id", "_is_lost", "_on_lost", "_pending"),
    )

    def __init__(self, transport: asyncio.Transport, topic: Topic, host: Host) -> None:
        """Takes over ``transport``; `Topic.join` comes next."""
        self.transport = transport
        self.topic = topic
        self.metadata: dict[str, Any] | None = None
        self.user_agent = ""
        self.heard = self.connected_at = time.time()
        self.positions: dict[str, int] | None = {}
        """Where it stands while it is served from the log; None while it follows live."""
        self.joined: dict[str, int] | None = None
        """From where on it is given all that its topic shows live; None while it is served from the log."""
        self.lived: tuple[tuple[dict[str, int], dict[str, int]], ...] = ()
        """The ranges, up to and with their ends, in which it was given what its topic showed live."""
        self.announce = True
        """It has not been told yet that it has come to the head."""
        self.is_drained = True
        self.stuck_since: tuple[float, int] | None = None
        self._id = secrets.randbits(63)
        self._host = host
        self._given = 0
        self._pending: Pending | None = None
        self._budget: Budget | None = None
        self._closing = False
        self._is_lost = False
        self._on_lost: list[Callable[[], object]] | None = None
        encrypted = transport.get_extra_info("ssl_object") is not None
        self.fd = -1 if encrypted else transport.get_extra_info("socket").fileno()
        transport.set_write_buffer_limits(0)  # `pause_writing` comes with the first byte that is held back

    @property
    def socket_id(self) -> str:
        """Its name on this edge."""
        return f"{self._id:016x}"

    @property
    def address(self) -> str:
        """The address of the peer."""
        peer = self.transport.get_extra_info("peername")
        return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "unknown"

    # -- to the client ------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Write frames, in order after what is held back."""
        if not self._closing:
            self._given += len(data)
            self.transport.write(data)

    def write_behind(self, data: bytes, before: dict[str, int]) -> None:
        """Write live frames to a socket that holds something back; over the limit only its position is kept.

        ``before`` has the positions before ``data``.
        """
        if self.transport.get_write_buffer_size() + len(data) <= self._host.behind_bytes:
            self.send(data)
        else:
            self.topic.set_aside(self)
            self._end_live(before)
            if self.is_drained:  # it had room, but not for so much at once
                self.topic.catch_up.go_on(self)

    def pause_writing(self) -> None:
        """Something is held back."""
        self.is_drained = False
        self.topic.set_behind(self)

    def resume_writing(self) -> None:
        """Nothing is held back any more."""
        self.is_drained = True
        self.stuck_since = None
        self.heard = time.time()  # whoever takes what waited for it is alive
        if self.positions is None:
            self.topic.set_ready(self)
        else:
            self.topic.catch_up.go_on(self)

    def jump(self, stream: str, seq: int) -> None:
        """What lay before ``seq`` cannot be had."""
        if self.positions is not None:
            self.positions = {**self.positions, stream: seq}
        if self.joined is not None:
            self.joined = {**self.joined, stream: seq}
        self.lived = tuple(({**after, stream: seq}, {**to, stream: seq}) for after, to in self.lived)

    def lacks(self, message: Stored) -> bool:
        """Whether an event that was missed live was not read from the log by this socket either, nor will be."""
        stream, seq = message.stream, message.seq
        if self.joined is not None and seq > self.joined.get(stream, 0):
            return True
        return any(after.get(stream, 0) < seq <= to.get(stream, 0) for after, to in self.lived)

    def _end_live(self, at: dict[str, int]) -> None:
        self.positions = at
        if self.joined is not None:
            self.lived, self.joined = (*self.lived, (self.joined, at)), None
        if len(self.lived) > _MOST_LIVED:  # one that spans two may give an event twice, but none never
            self.lived = ((self.lived[0][0], self.lived[1][1]), *self.lived[2:])

    def ping(self) -> None:
        """Ask whether the peer is alive. One with something held back would read that first: it may be stuck."""
        if self.is_drained:
            self.send(_PING)

    def is_stuck(self, now: float, limit_s: float) -> bool:
        """Whether nothing of what is held back was taken for ``limit_s``."""
        if self.is_drained:
            return False
        taken = self._given - self.transport.get_write_buffer_size()
        if self.stuck_since is None or self.stuck_since[1] != taken:
            self.stuck_since = now, taken
        return now - self.stuck_since[0] >= limit_s

    def close(self, why: Closing, reason: str = "") -> None:
        """Say why, and end; the peer has two seconds to answer."""
        if self._closing:
            return
        self.topic.leave(self)
        self.transport.write(close_frame(why.code, reason or why.reason))
        self._closing = True
        asyncio.get_running_loop().call_later(_CLOSE_WITHIN_S, self.transport.abort)

    def shutdown(self) -> None:
        """Uvicorn stops."""
        self.close(closing.RESTART)
        self.transport.close()

    # -- from the client ----------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Frames, or parts of them."""
        self.heard = time.time()
        if self._closing:
            if _has_close(data):
                self.transport.close()
            return
        try:
            messages, self._pending = parse(data, self._pending, self._host.frame_bytes)
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
                self.topic.leave(self)
                self.transport.write(close_frame(message.code))
                self._closing = True
                self.transport.close()
            elif isinstance(message, Binary):
                self.close(closing.UNSUPPORTED_DATA)

    def _answer(self, text: str) -> None:
        if self._budget is None:
            self._budget = Budget()
        reply, ends = answer(text, self._budget)
        if reply:
            self.send(reply)
        if ends:
            self.close(ends)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The descriptor is closed after this, so `ready` never holds a stale one."""
        self._closing = self._is_lost = True
        self.topic.leave(self)
        self._host.lost(self)
        for callback in self._on_lost or ():
            callback()

    def when_lost(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` when the connection is gone, at once if it is."""
        if self._is_lost:
            callback()
        else:
            self._on_lost = [*(self._on_lost or ()), callback]

    def text_received(self, text: str) -> None:
        """A message that was read before the hand-over."""
        self._take([Text(text)])


def _has_close(data: bytes) -> bool:
    """Whether the peer answers our close frame; whatever else it still sends does not matter."""
    return data[:1] == b"\x88" or b"\x88\x82" in data or b"\x88\x80" in data
