"""Reads server-sent events as the HTML standard says (section 9.2.6), and as a browser's `EventSource` would."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from tests.support.deadlines import within

_line = re.compile(rb"([^\r\n]*)(\r\n|\n|\r(?!$))")


class ServerSent(NamedTuple):
    """One event."""

    data: str
    last_event_id: str


class Parser:
    """Takes a stream in any pieces."""

    def __init__(self) -> None:
        self.last_event_id = ""
        self.retry_ms: int | None = None
        self.comments = 0
        self._rest = b""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> list[ServerSent]:
        """Give the events that ``piece`` completes."""
        self._rest += piece
        events = []
        while found := _line.match(self._rest):
            self._rest = self._rest[found.end() :]
            line = found[1].decode()
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not line:
                if self._data:
                    events.append(ServerSent("\n".join(self._data), self.last_event_id))
                self._data = []
            elif not name:
                self.comments += 1
            elif name == "data":
                self._data.append(value)
            elif name == "id" and "\0" not in value:
                self.last_event_id = value
            elif name == "retry" and value.isdigit():
                self.retry_ms = int(value)
        return events


class EventSource:
    """One response of an event stream."""

    def __init__(self, status: int, headers: dict[str, str], reader: asyncio.StreamReader) -> None:
        self.status = status
        self.headers = headers
        self.parser = Parser()
        self._reader = reader
        self._events: list[ServerSent] = []

    async def problem(self) -> dict[str, Any]:
        """Give the body of an answer that is no stream."""
        body: dict[str, Any] = json.loads(await self._reader.readexactly(int(self.headers["content-length"])))
        return body

    async def frame(self, within_s: float = 10.0) -> dict[str, Any]:
        """Wait for the next event, and give its object."""
        async with within(within_s):
            while not self._events:
                piece = await self._piece()
                if not piece:
                    raise EOFError("the stream has ended")
                self._events = self.parser.feed(piece)
        event = self._events.pop(0)
        frame: dict[str, Any] = json.loads(event.data)
        frame["last_event_id"] = event.last_event_id
        return frame

    async def events(self, count: int) -> list[dict[str, Any]]:
        """Wait for so many events of the log, leaving out what the edge says itself."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            frame = await self.frame()
            if "cursor" in frame:
                found.append(frame)
        return found

    async def ended(self, within_s: float = 10.0) -> None:
        """Wait until the response has ended."""
        async with within(within_s):
            while await self._piece():
                pass

    async def _piece(self) -> bytes:
        """A chunk of the body, RFC 9112 section 7.1; empty at its end."""
        size = int((await self._reader.readline()).split(b";")[0] or b"0", 16)
        piece = await self._reader.readexactly(size)
        await self._reader.readline()
        return piece


@asynccontextmanager
async def event_source(port: int, path: str, **headers: str) -> AsyncIterator[EventSource]:
    """Open an event stream."""
    async with within(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = {"Host": f"127.0.0.1:{port}", "Accept": "text/event-stream", **headers}
        lines = [f"GET {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in sent.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        status = int((await reader.readline()).split()[1])
        answer = {}
        while line := (await reader.readline()).strip():
            name, _, value = line.decode().partition(":")
            answer[name.lower()] = value.strip()
    try:
        yield EventSource(status, answer, reader)
    finally:
        writer.transport.abort()
