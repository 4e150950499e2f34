"""Clients that come and go: over WebSockets and as event streams, some of them slow, all of them with their cursors."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

import msgspec

from tests.support.crowd import Crowd, Member
from tests.support.ws_client import masked

_PONG, _CLOSE = 0x8A, 0x88
_AT_ONCE, _PAUSE_S = 100, 0.5


class _Payload(msgspec.Struct):
    status: str = ""
    cursors: dict[str, str] = {}


class _Frame(msgspec.Struct):
    event_type: str
    cursor: str = ""
    payload: _Payload = msgspec.field(default_factory=_Payload)


class _Typed(msgspec.Struct):
    event_type: str
    cursor: str = ""


_typed, _decode = msgspec.json.Decoder(_Typed).decode, msgspec.json.Decoder(_Frame).decode


class Guest(Member):
    """Reads what comes, and keeps no more of it than where it stands."""

    def cut_off(self) -> None:
        """End its connection, without a word; it comes back with its cursors."""
        if self._transport is not None:
            self._transport.abort()

    def begin_anew(self) -> None:
        """Go, and come back as somebody who was never here."""
        self._newest.clear()
        self.cut_off()

    def doze(self, seconds: float) -> None:
        """Read nothing for a while."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.pause_reading()
            asyncio.get_running_loop().call_later(seconds, _wake, transport)

    def _frame(self, opcode: int, payload: bytes) -> None:
        assert self._transport is not None
        if opcode == 1:
            self._take(payload)
        elif opcode == 8:
            self._crowd.closed[int.from_bytes(payload[:2], "big")] += 1
            self._transport.write(masked(_CLOSE, payload[:2]))
        elif opcode == 9:
            self._transport.write(masked(_PONG, payload))

    def _take(self, text: bytes) -> None:
        typed = _typed(text)
        if typed.cursor:
            self._newest[typed.cursor[0]] = typed.cursor
            self.shown += 1
        elif typed.event_type == "connection":
            greeting = _decode(text).payload
            self._newest.update(greeting.cursors)
            if greeting.status == "connected" and not self.is_in:
                self.is_in = True
                self.came += 1


class Listener(Guest):
    """The same over server-sent events."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream, from where it stood."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        since = f"Last-Event-ID: {'.'.join(self._newest.values())}\r\n" if self._newest else ""
        transport.write(f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n{since}\r\n".encode())

    def data_received(self, data: bytes) -> None:
        """Take in the lines that are whole."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data: "):
                self._take(line[6:])
            elif line.startswith(b"HTTP/1.1 ") and not line.startswith(b"HTTP/1.1 200"):
                self._crowd.refused += 1
                assert self._transport is not None
                self._transport.close()


class Guests(Crowd):
    """All of them, who come and go until the block ends."""

    def __init__(self, port: int, paths: Sequence[str], seed: int) -> None:
        super().__init__([port], [])
        self.all = [
            (Listener if path.startswith("/sse") else Guest)(self, path, turn) for turn, path in enumerate(paths)
        ]
        self.members = list(self.all)
        self._chance = random.Random(seed)

    async def warm_up(self) -> None:
        """Let everybody come back twice, a hundred at a time: what serves those who return takes its room at once."""
        for _ in range(2):
            for begin in range(0, len(self.all), _AT_ONCE):
                for guest in self.all[begin : begin + _AT_ONCE]:
                    guest.cut_off()
                await asyncio.sleep(_PAUSE_S)

    async def churn(self, a_second: float) -> None:
        """For ever: one after the other is cut off, begins anew, or reads nothing for a while."""
        acts: list[Callable[[Guest], None]] = [Guest.cut_off, Guest.begin_anew, lambda guest: guest.doze(5)]
        while True:
            self._chance.choice(acts)(self._chance.choice(self.all))
            await asyncio.sleep(1 / a_second)

    def tally(self) -> tuple[int, int]:
        """How often they came, and what they were shown."""
        return sum(guest.came for guest in self.all), sum(guest.shown for guest in self.all)


def _wake(transport: asyncio.Transport) -> None:
    if not transport.is_closing():
        transport.resume_reading()
