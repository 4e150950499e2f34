"""One system call for what a response is made of: its head and its body, which uvicorn writes one after the other."""

from __future__ import annotations

import asyncio


class OneWrite:
    """Where uvicorn writes responses: what is written in one turn of the event loop leaves together, at its end."""

    __slots__ = ("_loop", "_transport", "_unsent")

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self._loop = loop
        self._transport = transport
        self._unsent: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send ``data`` soon."""
        if not self._unsent:
            self._loop.call_soon(self.flush)
        self._unsent.append(data)

    def flush(self) -> None:
        """Send now what was written; for who is about to use the transport itself."""
        if self._unsent:
            data = b"".join(self._unsent)
            self._unsent.clear()
            if not self._transport.is_closing():
                self._transport.write(data)

    def close(self) -> None:
        """Close the transport once everything is sent."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the transport is closed, or about to be."""
        return self._transport.is_closing()
