"""Thousands of clients in one process, each of which holds what it is shown against the rules.

A member is a bare protocol with as little state as a browser's client needs: the newest cursor of each stream. It comes
back by itself, as it was told or else after a pause, each time at the next edge.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial

import msgspec

from tests.support.deadlines import eventually
from tests.support.ws_client import handshake, masked, position

_PAUSE_S = 0.2
_AT_ONCE = 100
_PONG, _CLOSE = 0x8A, 0x88


class _Payload(msgspec.Struct):
    content: int | None = None
    after_ms: int = 0
    status: str = ""
    cursors: dict[str, str] = {}


class _Frame(msgspec.Struct):
    event_type: str
    subject: str = ""
    cursor: str = ""
    prev: str = ""
    payload: _Payload = msgspec.field(default_factory=_Payload)


_decode = msgspec.json.Decoder(_Frame).decode


class Member(asyncio.Protocol):
    """One client, over all its connections."""

    def __init__(self, crowd: Crowd, path: str, turn: int) -> None:
        self.path = path
        self.port = 0
        """Where it is connected, or tries to."""
        self.is_in = False
        """It was greeted on the connection that it has."""
        self.came = 0
        """How often it was let in."""
        self.last: dict[str, int] = {}
        """The number of the last event on each subject."""
        self.shown = 0
        self._crowd = crowd
        self._turn = turn
        self._newest: dict[str, str] = {}
        self._told: float | None = None
        self._rest = b""
        self._is_open = False
        self._transport: asyncio.Transport | None = None

    async def go(self) -> None:
        """Connect at its edge, or try the next one."""
        ports = self._crowd.ports
        self.port = ports[self._turn % len(ports)]
        self._turn += 1
        self._told = None
        self._rest = b""
        self._is_open = False
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self.port)
        except OSError:
            self._come_back(_PAUSE_S * random.uniform(0.5, 1.5))

    def leave(self) -> None:
        """Vanish, for good."""
        self._crowd = _NOWHERE
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio's protocol -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Shake hands."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        since = f"?since={'.'.join(self._newest.values())}" if self._newest else ""
        transport.write(handshake(self.path + since))

    def connection_lost(self, exc: Exception | None) -> None:
        """Come back."""
        self._transport = None
        was_in, self.is_in = self.is_in, False
        if was_in and self._told is not None:
            self._come_back(max(0.0, self._told - time.monotonic()))
        else:
            self._come_back(_PAUSE_S * random.uniform(0.5, 1.5))

    def data_received(self, data: bytes) -> None:
        """Take in what is whole."""
        rest = self._rest + data if self._rest else data
        if not self._is_open:
            head, found, rest = rest.partition(b"\r\n\r\n")
            if not found:
                self._rest = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self._crowd.refused += 1
                assert self._transport is not None
                self._transport.close()
                return
            self._is_open = True
        at, end = 0, len(rest)
        while end >= at + 2:
            size, begin = rest[at + 1], at + 2
            if size >= 126:
                begin += 2 if size == 126 else 8
                size = int.from_bytes(rest[at + 2 : begin], "big")
            if end < begin + size:
                break
            self._frame(rest[at] & 0x0F, rest[begin : begin + size])
            at = begin + size
        self._rest = rest[at:]

    def _frame(self, opcode: int, payload: bytes) -> None:
        assert self._transport is not None
        if opcode == 1:
            try:
                self._note(_decode(payload))
            except AssertionError as error:
                self._crowd.failures.append(f"{self.path} at {self.port}, connection {self.came}: {error}")
        elif opcode == 8:
            self._crowd.closed[int.from_bytes(payload[:2], "big")] += 1
            self._transport.write(masked(_CLOSE, payload[:2]))
        elif opcode == 9:
            self._transport.write(masked(_PONG, payload))

    # -- the rules ----------------------------------------------------------------------------------------------

    def _note(self, frame: _Frame) -> None:
        newest = self._newest
        if frame.cursor:
            letter = frame.cursor[0]
            before = newest.get(letter, "")
            assert before, f"{frame.cursor} came before the greeting"
            if frame.prev:
                assert frame.prev == before, f"{frame.cursor} follows {frame.prev}, but {before} was the newest"
            else:
                assert position(frame.cursor) > position(before), f"{frame.cursor} after {before}"
            newest[letter] = frame.cursor
            if (number := frame.payload.content) is not None:
                last = self.last.get(frame.subject, -1)
                self.last[frame.subject] = number
                self.shown += 1
                assert number == last + 1, f"{number} after {last} on {frame.subject}"
        elif frame.event_type == "connection":
            for letter, cursor in frame.payload.cursors.items():
                if letter not in newest or position(newest[letter]) < position(cursor):
                    newest[letter] = cursor
            if frame.payload.status == "connected" and not self.is_in:
                self.is_in = True
                self.came += 1
        elif frame.event_type == "reconnect":
            self._told = time.monotonic() + frame.payload.after_ms / 1_000
        else:
            assert frame.subject, f"an unexpected {frame.event_type}"

    def _come_back(self, after_s: float) -> None:
        # The crowd of then, not of now: who has left meanwhile must not begin a task on a loop that is about to end.
        asyncio.get_running_loop().call_later(after_s, lambda: self._crowd.send(self))


class Crowd:
    """Clients, spread over the edges at ``ports``, which may change."""

    shown = 0

    def __init__(self, ports: Sequence[int], paths: Iterable[str], kind: type[Member] = Member) -> None:
        self.ports = list(ports)
        self.failures: list[str] = []
        self.refused = 0
        """Handshakes that were answered with something else than 101."""
        self.closed: Counter[int] = Counter()
        """Close frames that came, by their codes."""
        self.members = [kind(self, path, turn) for turn, path in enumerate(paths)]
        self._going: set[asyncio.Task[None]] = set()

    async def come(self) -> None:
        """Connect all, and wait until each was greeted."""
        for begin in range(0, len(self.members), _AT_ONCE):
            some = self.members[begin : begin + _AT_ONCE]
            for member in some:
                self.send(member)
            await eventually(partial(_are_in, some), within_s=30)

    def send(self, member: Member) -> None:
        """Let one connect."""
        task = asyncio.create_task(member.go())
        self._going.add(task)
        task.add_done_callback(self._going.discard)

    def at(self, port: int) -> list[Member]:
        """Give those who are at an edge."""
        return [member for member in self.members if member.is_in and member.port == port]

    def disperse(self) -> None:
        """End all connections, for good."""
        for member in self.members:
            member.leave()
        for task in self._going:
            task.cancel()


def _are_in(members: Sequence[Member]) -> bool:
    return all(member.is_in for member in members)


class _Nowhere(Crowd):
    def send(self, member: Member) -> None:
        """It does not come back."""


_NOWHERE = _Nowhere((), ())
