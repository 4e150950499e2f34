"""A WebSocket client that sends any bytes, and reads what comes back as the `websockets` library does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, Protocol

from tests.support.deadlines import within

_HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


class Wire:
    """A connection after its handshake."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.protocol = Protocol(CLIENT)
        self.frames: list[Frame] = []

    def send(self, data: bytes) -> None:
        """Send these very bytes."""
        self.writer.write(data)

    async def frame(self, opcode: Opcode) -> Frame:
        """Wait for the next frame of this kind; those of other kinds are dropped."""
        async with within():
            while True:
                while self.frames:
                    frame = self.frames.pop(0)
                    if frame.opcode is opcode:
                        return frame
                data = await self.reader.read(65_536)
                if not data:
                    raise AssertionError(f"the connection ended without a {opcode.name} frame")
                self.protocol.receive_data(data)
                assert self.protocol.parser_exc is None
                self.frames += [event for event in self.protocol.events_received() if isinstance(event, Frame)]

    async def end(self) -> bytes:
        """Wait for the end of the connection, and give what came before it."""
        async with within():
            return await self.reader.read()


async def handshake(
    port: int, path: str, headers: Mapping[str, str] | None = None
) -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for an upgrade, on loopback, and give the status of the answer.

    Args:
        headers: beside the usual ones, or in their place.
    """
    fields = {"Host": f"127.0.0.1:{port}", **_HANDSHAKE, **(headers or {})}
    head = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    async with within():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write("\r\n".join(head).encode())
        answer = await reader.readuntil(b"\r\n\r\n")
    return int(answer.split()[1]), reader, writer


@asynccontextmanager
async def wire(port: int, path: str) -> AsyncIterator[Wire]:
    """Connect to a WebSocket on loopback, and break the connection off at the end."""
    status, reader, writer = await handshake(port, path)
    try:
        assert status == 101
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()
