"""Server-sent events: a topic as a response that does not end, for where WebSockets are blocked.

A browser's `EventSource` reconnects by itself, with the ``id`` of the last event: a complete position. HTML standard,
section 9.2.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mesh_edge.closing import Closing
from mesh_edge.link import Host, Link
from mesh_edge.reader import Reader
from mesh_edge.topic import Topic
from mesh_edge.wire import EVENT_STREAM

_COMMENT = b":\n\n"


class ResponseTransport(asyncio.Transport):
    """What is written goes out as the body of an HTTP response; the server's flow control holds it back."""

    def __init__(self, client: tuple[str, int] | None) -> None:
        """To the peer ``client``; `run` sends."""
        super().__init__({"peername": client})
        self._link: Link | None = None
        self._waiting: list[bytes] = []
        self._size = 0
        self._is_paused = False
        self._is_closing = False
        self._changed = asyncio.Event()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Tell ``protocol`` when something is held back, and when nothing is any more."""
        self._link = cast("Link", protocol)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """They are 0: whatever is written waits for its turn."""

    def get_write_buffer_size(self) -> int:
        """What waits, in bytes."""
        return self._size

    def is_closing(self) -> bool:
        """Whether nothing is taken any more."""
        return self._is_closing

    def write(self, data: Any) -> None:
        """Have ``data`` sent."""
        if self._is_closing or not data:
            return
        self._waiting.append(data)
        self._size += len(data)
        self._changed.set()
        if not self._is_paused and self._link is not None:
            self._is_paused = True
            self._link.pause_writing()

    def close(self) -> None:
        """End the response once everything was sent."""
        self._is_closing = True
        self._changed.set()

    def abort(self) -> None:
        """End the response now."""
        self._waiting.clear()
        self._size = 0
        self.close()

    def end(self) -> None:
        """The response has ended, or its client is gone."""
        if self._link is not None:
            self._link.connection_lost(None)
            self._link = None

    async def run(self, send: Send) -> None:
        """Send until it is closed."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._waiting:
                data = b"".join(self._waiting)
                self._waiting.clear()
                await send({"type": "http.response.body", "body": data, "more_body": True})
                self._size = max(0, self._size - len(data))
            if self._is_closing:
                break
            if self._is_paused and self._link is not None:
                self._is_paused = False
                self._link.resume_writing()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class EventStream(Link):
    """A client that is sent the events of one topic, and never says anything."""

    __slots__ = ("reader",)

    wire = EVENT_STREAM

    def __init__(self, transport: ResponseTransport, topic: Topic, host: Host) -> None:
        """On ``transport``; `Topic.join` comes next."""
        super().__init__(transport, host)
        self.reader = Reader(self, topic)
        transport.set_protocol(self)

    @property
    def readers(self) -> tuple[Reader]:
        """The only one."""
        return (self.reader,)

    def ping(self) -> None:
        """Keep proxies awake. Nobody answers: a dead peer is one whose buffers fill up."""
        self.heard = time.monotonic()
        if self.is_drained:
            self.send(_COMMENT)

    def close(self, why: Closing, reason: str = "") -> None:  # noqa: ARG002 - a response has no place for it
        """End the response; the browser comes back by itself."""
        if not self._closing:
            self._host.counts.closed[str(why.code)] += 1
            self.leave()
            self._closing = True
            self.transport.close()

    def _let_go(self) -> None:
        super()._let_go()
        del self.reader


class EventStreamResponse(Response):
    """The response that goes on until its client or its edge ends it."""

    media_type = "text/event-stream"

    def __init__(self, enter: Callable[[ResponseTransport], EventStream], headers: dict[str, str]) -> None:
        """``enter`` lets the client in, once the response has begun."""
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", **headers})
        del self.headers["content-length"]
        self._enter = enter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        transport = ResponseTransport(scope.get("client"))
        self._enter(transport)
        gone = asyncio.create_task(_end_when_gone(receive, transport))
        try:
            await transport.run(send)
        finally:
            gone.cancel()
            transport.end()
            with contextlib.suppress(asyncio.CancelledError):
                await gone


async def _end_when_gone(receive: Receive, transport: ResponseTransport) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    transport.abort()
