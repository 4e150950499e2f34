"""A TCP proxy whose connections a test can cut, as a bad network does: without a word to either side."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class CuttingProxy:
    """Carries bytes to a port on loopback, and back.

    Args:
        port: where to.
        blocks_websockets: cut off whoever asks for one, as some firewalls do.
    """

    def __init__(self, port: int, *, blocks_websockets: bool = False) -> None:
        self.url = ""
        self.cuts = 0
        self.port = port
        self.blocked = 0
        self.answers = asyncio.Event()
        """While it is not set nothing comes back; what is sent arrives."""
        self.answers.set()
        self._blocks_websockets = blocks_websockets
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[CuttingProxy]:
        """Listen on a free port while the block runs."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            while self._tasks:
                self.cut()
                await asyncio.wait(self._tasks, timeout=0.1)

    def cut(self) -> int:
        """Reset every connection; return how many there were."""
        count = len(self._writers)
        for writer in tuple(self._writers):
            writer.transport.abort()
        self.cuts += count > 0
        return count

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError), contextlib.closing(writer):
            head = await self._head(reader, writer)
            if self._blocks_websockets and b"upgrade: websocket" in head.lower():
                self.blocked += 1
                return
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.port)
            there_writer.write(head)
            await asyncio.gather(self._carry(reader, there_writer), self._carry(there_reader, writer, self.answers))

    async def _head(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """Give what comes first, where it matters."""
        if not self._blocks_websockets:
            return b""
        self._writers.add(writer)
        try:
            return await reader.read(65_536)
        finally:
            self._writers.discard(writer)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event | None = None
    ) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(65_536):
                    if gate is not None:
                        await gate.wait()
                    writer.write(data)
                    await writer.drain()
        finally:
            self._writers.discard(writer)
            writer.close()
