"""The sockets of clients, as the edge writes to them: with a descriptor of their own, and without one, as under TLS.

Both do what asyncio's transports do: what the kernel does not take is held back, and `pause_writing` and
`resume_writing` tell of it.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

from mesh_edge.event_stream import ResponseTransport
from mesh_edge.link import Link
from tests.model.clock import VirtualLoop


class Wire(asyncio.Transport):
    """One end of a connection: the edge writes, and a client takes when the test says so."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._held = b""
        self._limit = 65_536
        self._is_paused = False
        self._protocol: asyncio.Protocol | None = None
        self.is_open = True

    # -- the client's side --------------------------------------------------------------------------------------

    def take(self, most: int | None = None) -> bytes:
        """Read what has come, or the first ``most`` bytes of it; what was held back follows in the next turn."""
        data = self._read(most)
        if data and self._held:
            self._loop.call_soon(self._write_held)
        return data

    def say(self, data: bytes) -> None:
        """Send to the edge."""
        self._loop.call_soon(self._received, data)

    def vanish(self) -> None:
        """Break the connection off."""
        self._end(ConnectionResetError("gone"))

    def _received(self, data: bytes) -> None:
        if self.is_open and self._protocol is not None:
            self._protocol.data_received(data)

    # -- the edge's side ----------------------------------------------------------------------------------------

    def write(self, data: Any) -> None:
        data = bytes(data)
        if not self.is_open or not data:
            return
        sent = 0 if self._held else self._send(data)
        self._held += data[sent:]
        if len(self._held) > self._limit and not self._is_paused:
            self._is_paused = True
            self._owner().pause_writing()

    def _write_held(self) -> None:
        if not self.is_open:
            return
        if self._held:
            sent = self._send(self._held)
            self._held = self._held[sent:]
        if self._is_paused and len(self._held) <= self._limit:
            self._is_paused = False
            self._owner().resume_writing()

    def _owner(self) -> asyncio.Protocol:
        assert self._protocol is not None
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._owner()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._limit = high or 0

    def get_write_buffer_size(self) -> int:
        return len(self._held)

    def is_closing(self) -> bool:
        return not self.is_open

    def close(self) -> None:
        self._end(None)

    def abort(self) -> None:
        self._end(None)

    def _end(self, error: Exception | None) -> None:
        if self.is_open:
            self.is_open = False
            self._loop.call_soon(self._lost, error)

    def _lost(self, error: Exception | None) -> None:
        if self._protocol is not None:
            self._protocol.connection_lost(error)
        self._closed()

    # -- the kernel ---------------------------------------------------------------------------------------------

    def _send(self, data: bytes) -> int:
        """Give to the kernel, and tell how many bytes it took."""
        raise NotImplementedError

    def _read(self, most: int | None) -> bytes:
        raise NotImplementedError

    def _closed(self) -> None:
        """After the protocol was told."""


class EncryptedWire(Wire):
    """Without a descriptor: the transport must see every byte."""

    def __init__(self, loop: VirtualLoop, room: int) -> None:
        super().__init__(loop)
        self._room = room
        self._kernel = b""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self if name == "ssl_object" else default

    def _send(self, data: bytes) -> int:
        sent = min(len(data), self._room - len(self._kernel))
        self._kernel += data[:sent]
        return sent

    def _read(self, most: int | None) -> bytes:
        size = len(self._kernel) if most is None else most
        data, self._kernel = self._kernel[:size], self._kernel[size:]
        return data


class PlainWire(Wire):
    """A real socket, to whose descriptor the edge may write by itself; its buffer is as small as the kernel allows."""

    def __init__(self, loop: VirtualLoop, room: int) -> None:
        super().__init__(loop)
        self._socket, self._peer = socket.socketpair()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
        for end in (self._socket, self._peer):
            end.setblocking(False)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._socket if name == "socket" else default

    def _send(self, data: bytes) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    def _read(self, most: int | None) -> bytes:
        data = b""
        while most is None or len(data) < most:
            try:
                part = self._peer.recv(65_536 if most is None else most - len(data))
            except BlockingIOError:
                break
            if not part:
                break
            data += part
        return data

    def _closed(self) -> None:
        self._socket.close()

    def discard(self) -> None:
        """Close both ends."""
        self._socket.close()
        self._peer.close()


class ResponseWire(Wire):
    """The body of an HTTP response; what the client has no room for holds the one who sends it up."""

    def __init__(self, loop: VirtualLoop, room: int) -> None:
        super().__init__(loop)
        self._room = room
        self._kernel = b""
        self._taken = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None
        self._link: Link | None = None
        self.response = ResponseTransport(None)

    def begin(self, link: Link) -> None:
        """Send what ``link`` writes to `response`."""
        self._link = link
        self._sending = self._loop.create_task(self.response.run(self._take_in))

    async def _take_in(self, message: Any) -> None:
        self._kernel += message["body"]
        while len(self._kernel) > self._room:
            self._taken.clear()
            await self._taken.wait()

    def _read(self, most: int | None) -> bytes:
        size = len(self._kernel) if most is None else most
        data, self._kernel = self._kernel[:size], self._kernel[size:]
        self._taken.set()
        return data

    def vanish(self) -> None:
        if self.is_open:
            self.is_open = False
            if self._sending is not None:
                self._sending.cancel()
                self._loop.call_soon(self._gone)

    def _gone(self) -> None:
        if self._link is not None:
            self._link.connection_lost(None)
