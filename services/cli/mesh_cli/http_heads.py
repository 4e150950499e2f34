"""uvicorn's HTTP protocol with bounds on the head of a request: who never finishes one costs little, and not for long.

uvicorn itself waits for ever for the rest of a head, and keeps whatever comes of it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mesh_cli.one_write import OneWrite
from mesh_edge.doorway import doorway_of

HEAD_WITHIN_S = 10.0
MOST_HEAD_BYTES = 64 * 1024

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedHeads(HttpToolsProtocol):
    """Gives a client so long for the head of a request (RFC 9112, 2.1), from its first byte or from connecting on."""

    head_within_s = HEAD_WITHIN_S

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._deadline: asyncio.TimerHandle | None = None
        self._in_head = False
        self._head_bytes = 0
        self._responses: OneWrite | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there."""
        super().connection_made(transport)
        self._responses = OneWrite(self.loop, transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """More of a request; a single header may span many of these."""
        was_in_head = self._in_head
        super().data_received(data)
        if was_in_head and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        if self._deadline is None:
            self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        super().on_header(name, value)
        self._head_bytes += len(name) + len(value)

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._stop_waiting()
        self._in_head = False
        if self._head_bytes > MOST_HEAD_BYTES:
            raise ValueError("the head of the request is too large")  # the parser stops here, before any upgrade
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:  # it has not begun yet
            self.cycle.transport = self._responses  # type: ignore[assignment] # it writes, and closes

    def shutdown(self) -> None:
        """The server stops: nothing more is asked here."""
        self._flush()
        super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """The parser has stopped."""
        self._stop_waiting()
        self._flush()
        if self._head_bytes > MOST_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        else:
            super().send_400_response(msg)

    def _expect_head(self) -> None:
        self._deadline = self.loop.call_later(self.head_within_s, self._refuse, _TOO_SLOW)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, answer: bytes) -> None:
        self._stop_waiting()
        self._in_head = False
        self._flush()
        if not self.transport.is_closing():
            if (doorway := doorway_of(self.config)) is not None:
                reason = ("408", "slow") if answer is _TOO_SLOW else ("431", "head")
                doorway.edge.counts.refused[reason] += 1
            self.transport.write(answer)
            self.transport.close()

    def _flush(self) -> None:
        if self._responses is not None:
            self._responses.flush()
