"""The mesh's own messages, taken off nats-py's connection before nats-py sees them.

nats-py connects, authenticates, does TLS, answers pings and notices errors. Messages for subscriptions whose id starts
with ``L`` go straight to plain functions instead: no queue, task, regular expression or `Future` for each of them.
Protocol: NATS client protocol, https://docs.nats.io/reference/reference-protocols/nats-protocol
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any, Protocol, cast
from urllib.parse import ParseResult

from nats.aio.transport import TcpTransport

Handler = Callable[[bytes, bytes, bytes, bytes], None]
"""Called with subject, reply subject, header block and body; empty where there is none."""


class Shortcut(Protocol):
    """Takes the usual message on one subject of one subscription: with headers, without a reply subject."""

    def take(self, headers: bytes, body: bytes) -> bool:
        """Take it, or leave it to the subscription's handler by returning False."""


_USER_TIMEOUT_MS = 6_000
_H, _M, _I = b"HMI"
_log = logging.getLogger(__name__)


def _ignore(_info: bytes) -> None:
    """Who is told nothing of the server needs nothing."""


class Tap(asyncio.Protocol):
    """Stands between a socket to NATS and nats-py's stream reader."""

    def __init__(
        self,
        inner: asyncio.StreamReaderProtocol,
        handlers: dict[bytes, Handler],
        shortcuts: dict[bytes, Shortcut],
        lost: Callable[[], None],
        informed: Callable[[bytes], None] = _ignore,
    ) -> None:
        """``handlers`` maps the ids of subscriptions to what takes their messages; ``lost`` is told at the end.

        ``informed`` is given the JSON by which the server tells of itself, also when that changes.

        ``shortcuts`` has what is asked first, by subject and id, such as ``live.chat.s1.message L5``.
        """
        self._inner = inner
        self._handlers = handlers
        self._shortcuts = shortcuts
        self._lost = lost
        self._informed = informed
        self._rest = b""
        self._after_turn: list[Callable[[], None]] = []
        self.is_handling = False
        """A turn's messages are being handled: what is left for `after_turn` is called at its end."""
        self.transport: asyncio.Transport | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)  # what asyncio asks of the stream's protocol beyond the methods below

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open; called again with what encrypts it, where that comes later."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are none by class
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        self._inner.connection_lost(exc)
        self._lost()

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """The socket takes more again."""
        self._inner.resume_writing()

    def eof_received(self) -> bool | None:
        """The server sends no more."""
        return self._inner.eof_received()

    def after_turn(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once everything that has arrived by now is handled; for use within a handler."""
        self._after_turn.append(callback)

    def rest(self, seconds: float) -> None:
        """Leave the socket unread for a while: what comes meanwhile is handled in one turn."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(seconds, self._read_on, self.transport)

    @staticmethod
    def _read_on(transport: asyncio.Transport) -> None:
        if not transport.is_closing():
            transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Hand on what `data` completes: our messages to their handlers, the rest to nats-py."""
        self.is_handling = True
        self._rest = self._hand_on(self._rest + data if self._rest else data)
        self.is_handling = False
        while self._after_turn:
            callbacks, self._after_turn = self._after_turn, []
            for callback in callbacks:
                try:
                    callback()
                except Exception:  # noqa: BLE001 - nor must what was left
                    _log.exception("what was left for the end of a turn failed")

    def _hand_on(self, data: bytes) -> bytes:
        """The hot path, kept in one frame; returns what is left of an incomplete message."""
        find, shortcuts, start, size = data.find, self._shortcuts, 0, len(data)
        while (eol := find(b"\n", start)) >= 0:
            kind = data[start]
            if kind == _H:  # HMSG subject sid [reply] header-size size
                which, header_size, all_size = data[start + 5 : eol].rsplit(b" ", 2)
                head = eol + 1
                body, end = head + int(header_size), head + int(all_size)
                if end + 2 > size:
                    break
                try:
                    shortcut = shortcuts.get(which)
                    if shortcut is None or not shortcut.take(data[head:body], data[body:end]):
                        self._handle(which, data[head:body], data[body:end], data[start : end + 2])
                except Exception:  # noqa: BLE001 - one message must not end the connection
                    _log.exception("a message on %.80r could not be handled", which)
            elif kind == _M and data[start : start + 4] == b"MSG ":  # MSG subject sid [reply] size
                which, _, all_size = data[start + 4 : eol].rpartition(b" ")
                head = eol + 1
                end = head + int(all_size)
                if end + 2 > size:
                    break
                try:
                    self._handle(which, b"", data[head:end], data[start : end + 2])
                except Exception:  # noqa: BLE001 - as above
                    _log.exception("a message on %.80r could not be handled", which)
            else:  # INFO, PING, PONG, +OK, -ERR
                end = eol - 1
                if kind == _I:
                    self._informed(data[start + 5 : eol])
                self._inner.data_received(data[start : end + 2])
            start = end + 2
        return data[start:]

    def _handle(self, which: bytes, headers: bytes, body: bytes, message: bytes) -> None:
        """Hand on a message for ``which``, its subject, subscription and perhaps reply subject."""
        subject, sid, *reply = which.split(b" ")
        if (handler := self._handlers.get(sid)) is not None:
            handler(subject, reply[0] if reply else b"", headers, body)
        elif sid[:1] != b"L":  # one of ours was unsubscribed while this was on its way
            self._inner.data_received(message)


class TapTransport(TcpTransport):
    """nats-py's TCP transport with a `Tap` in it, and a bound on how long written bytes may stay unacknowledged."""

    def __init__(
        self,
        handlers: dict[bytes, Handler],
        shortcuts: dict[bytes, Shortcut],
        lost: Callable[[], None],
        informed: Callable[[bytes], None] = _ignore,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._handlers = handlers
        self._shortcuts = shortcuts
        self._lost = lost
        self._informed = informed
        self.tap: Tap | None = None

    def close(self) -> None:
        """Close the socket. It counts as lost at once: TLS would wait half a minute for a frozen server's farewell."""
        super().close()  # type: ignore[no-untyped-call]
        self._lost()

    def __bool__(self) -> bool:
        return True  # or nats-py would make a transport of its own

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Open the socket; raises `OSError` or `TimeoutError`."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=buffer_size)
        inner = asyncio.StreamReaderProtocol(reader)
        self.tap = Tap(inner, self._handlers, self._shortcuts, self._lost, self._informed)
        tap = self.tap
        async with asyncio.timeout(connect_timeout):
            transport, _ = await loop.create_connection(lambda: tap, uri.hostname or "", uri.port or 4222)
        _bound_unacknowledged(transport)
        self._bare_io_reader = self._io_reader = reader
        self._bare_io_writer = self._io_writer = asyncio.StreamWriter(transport, inner, reader, loop)

    def abort(self) -> None:
        """Close the socket at once, if there is one."""
        if self.tap is not None and self.tap.transport is not None:
            self.tap.transport.abort()

    async def connect_tls(
        self, uri: str | ParseResult, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: int
    ) -> None:
        """Upgrade the socket to TLS; raises `OSError` or `TimeoutError`."""
        if self._io_writer is None:
            raise OSError("there is no socket to encrypt")
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=buffer_size)
        inner = asyncio.StreamReaderProtocol(reader)
        tap = Tap(inner, self._handlers, self._shortcuts, self._lost, self._informed)
        host = uri if isinstance(uri, str) else uri.hostname
        async with asyncio.timeout(connect_timeout):
            transport = await loop.start_tls(self._io_writer.transport, tap, ssl_context, server_hostname=host)
        if transport is None:
            raise OSError("the socket was closed while it was being encrypted")
        tap.connection_made(transport)
        self.tap = tap
        self._io_reader = reader
        self._io_writer = asyncio.StreamWriter(transport, inner, reader, loop)


def _bound_unacknowledged(transport: asyncio.Transport) -> None:
    """A half-open connection with unsent bytes would hang for over a minute beside a healthy second server."""
    if sys.platform == "linux":
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
