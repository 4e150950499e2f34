"""A TCP proxy before a nats-server that can cut, freeze, and lose or hold messages."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

Loses = Callable[[bytes], bool]
"""Whether a message on this subject is lost, or held, on its way to the client."""


class NatsProxy:
    """Carries connections to a nats-server on loopback; `running` makes one."""

    def __init__(self, port: int) -> None:
        """``port`` is the server's."""
        self.url = ""
        self.loses: Loses | None = None
        self.lost = 0
        """How many messages were lost."""
        self.holds: Loses | None = None
        self.delay_s = 0.0
        """How much later than it came something is passed on."""
        self.accepts = True
        """Whether connections that are made from now on reach the server."""
        self.connections = 0
        """How many connections were made in all."""
        self._port = port
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._frozen: set[asyncio.StreamWriter] = set()
        self._held: list[tuple[asyncio.StreamWriter, bytes]] = []

    def cut(self) -> None:
        """Reset every connection, on both sides."""
        for writer in tuple(self._open):
            writer.transport.abort()

    def freeze(self) -> None:
        """Pass nothing more through the connections that are open now, and close none: a black hole."""
        self._frozen |= self._open

    def release(self) -> None:
        """Pass on what was held, in the order in which it came, and hold nothing more."""
        held, self._held, self.holds = self._held, [], None
        for writer, message in held:
            writer.write(message)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if not self.accepts:
            writer.transport.abort()
            return
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(self._carry(reader, there_writer), self._carry(there_reader, writer, to_client=True))

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, to_client: bool = False
    ) -> None:
        self._open.add(writer)
        rest = b""
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if writer in self._frozen:
                    continue
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if to_client:
                    data, rest = self._whole(rest + data, writer)
                writer.write(data)
                await writer.drain()
        self._open.discard(writer)
        self._frozen.discard(writer)
        writer.transport.abort()

    def _whole(self, data: bytes, writer: asyncio.StreamWriter) -> tuple[bytes, bytes]:
        """Return whole protocol lines and messages but for lost and held ones, and what is not complete yet."""
        passed, start = [], 0
        while (eol := data.find(b"\r\n", start)) >= 0:
            words = data[start:eol].split(b" ")
            is_message = words[0] in {b"MSG", b"HMSG"}
            end = eol + 2 + (int(words[-1]) + 2 if is_message else 0)
            if end > len(data):
                break
            if is_message and self.loses is not None and self.loses(words[1]):
                self.lost += 1
            elif is_message and self.holds is not None and self.holds(words[1]):
                self._held.append((writer, data[start:end]))
            else:
                passed.append(data[start:end])
            start = end
        return b"".join(passed), data[start:]

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, port: int) -> AsyncIterator[NatsProxy]:
        """Stand before the server on ``port`` for a block."""
        proxy = cls(port)
        server = await asyncio.start_server(proxy._accept, "127.0.0.1", 0)
        proxy.url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield proxy
        finally:
            server.close()
            while proxy._tasks:
                proxy.cut()
                await asyncio.wait(proxy._tasks, timeout=0.1)
