"""An echo server on a real socket, made of the edge's own frames and parser, for conformance suites.

The edge does not echo, and suites want to see what was understood. So this is the smallest shell around
`mesh_edge.frame_parser` and `mesh_edge.frames`: no deadlines, no rights, one limit.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha1

from mesh_edge.frame_parser import Pending, parse
from mesh_edge.frames import BINARY, FIN, close_frame, frame_head, pong_frame, text_frame
from mesh_edge.messages import Binary, Close, Message, Ping, ProtocolViolation, Text

# RFC 6455 section 1.3.
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Echo(asyncio.Protocol):
    """One connection: shake hands, then send every message back.

    Args:
        limit_bytes: the largest message.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.head = b""
        self.open = False
        self.pending: Pending | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if not self.open:
            self.head += data
            head, end, data = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            self.shake_hands(head)
        if data and not self.transport.is_closing():
            self.read(data)

    def shake_hands(self, head: bytes) -> None:
        lines = (line.partition(b":") for line in head.split(b"\r\n"))
        key = next(value.strip() for name, _, value in lines if name.lower() == b"sec-websocket-key")
        accept = b64encode(sha1(key + _GUID, usedforsecurity=False).digest())
        self.open = True
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    def read(self, data: bytes) -> None:
        try:
            messages, self.pending = parse(data, self.pending, self.limit_bytes)
        except ProtocolViolation as violation:
            self.transport.writelines([answer(message) for message in violation.before])
            self.transport.write(close_frame(violation.code, violation.reason))
            self.transport.close()
            return
        self.transport.writelines([answer(message) for message in messages])
        if messages and isinstance(messages[-1], Close):
            self.transport.close()


def answer(message: Message) -> bytes:
    """What an echo says to `message`: nothing to a pong."""
    match message:
        case Text(text):
            return text_frame(text.encode())
        case Binary(payload):
            # The edge itself sends text alone.
            return bytes((FIN | BINARY,)) + frame_head(len(payload))[1:] + payload
        case Ping(payload):
            return pong_frame(payload)
        case Close(code):
            return close_frame(code)
        case _:
            return b""


@asynccontextmanager
async def echo_server(limit_bytes: int) -> AsyncIterator[str]:
    """Serve on a free port of loopback, and give the URL."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Echo(limit_bytes), "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()
