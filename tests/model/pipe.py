"""The socket of a client of NATS: what the server sends arrives in the next turn, in pieces as it was sent."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Protocol

from tests.model.clock import VirtualLoop
from tests.model.streams import Entry


class Listener(Protocol):
    """The server, as its sockets see it."""

    loop: VirtualLoop

    def receive(self, pipe: Pipe, data: bytes) -> None:
        """Take what a client sends."""

    def forget(self, pipe: Pipe) -> None:
        """It is closed."""


class Pipe(asyncio.Transport):
    """The socket of a client of NATS."""

    def __init__(self, server: Listener, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._server = server
        self._protocol = protocol
        self._arriving: deque[tuple[bytes, tuple[Entry, ...]]] = deque()
        self._is_paused = False
        self.is_open = True

    @property
    def is_unread(self) -> bool:
        """Whether something has come that is not read for now."""
        return self._is_paused and bool(self._arriving)

    def feed(self, data: bytes, entries: tuple[Entry, ...] = ()) -> None:
        """Let ``data`` arrive in one piece, in the next turn; ``entries`` are in it."""
        self._arriving.append((data, entries))
        self._server.loop.call_soon(self._arrive)

    def _arrive(self) -> None:
        while self._arriving and not self._is_paused:
            data, entries = self._arriving.popleft()
            if self.is_open:
                self._protocol.data_received(data)
            else:
                for entry in entries:
                    entry.disturbed = True

    def lose(self, error: Exception | None = None) -> None:
        """Break the connection off."""
        if self.is_open:
            self.is_open = False
            self._server.forget(self)
            self._server.loop.call_soon(self._protocol.connection_lost, error)
            self._is_paused = False
            self._arrive()

    def write(self, data: Any) -> None:
        if self.is_open:
            self._server.receive(self, bytes(data))

    def writelines(self, parts: Any) -> None:
        self.write(b"".join(parts))

    def close(self) -> None:
        self.lose()

    def abort(self) -> None:
        self.lose()

    def is_closing(self) -> bool:
        return not self.is_open

    def is_reading(self) -> bool:
        return not self._is_paused

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        self._server.loop.call_soon(self._arrive)

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return _Options() if name == "socket" else default


class _Options:
    def setsockopt(self, *_args: object) -> None:
        """Whatever is set."""
