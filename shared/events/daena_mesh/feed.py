"""Following as an async iterator."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Literal, Self

import msgspec

from daena_mesh import codec
from daena_mesh.cursors import Cursor, Positions
from daena_mesh.errors import MeshUnavailable
from daena_mesh.events import Event
from daena_mesh.follower import Follower, GapReason
from daena_mesh.log import Log
from daena_mesh.stored import Stored, kind_of
from daena_mesh.subjects import check_pattern

MOST_WAITING = 8_192


class Gap(msgspec.Struct, frozen=True):
    """What lay between two cursors cannot be shown any more."""

    before: str
    after: str
    reason: GapReason | Literal["chain"]
    """``chain``: what an edge showed has a hole that resuming did not close."""


def event_of(message: Stored, cursor: str, most_bytes: int) -> Event | None:
    """The event of a stored message, or None if it is poison."""
    if (kind := kind_of(message.subject)) is None:
        return None
    msg_id = message.msg_id
    try:
        return codec.decode(
            kind.subject,
            message.body,
            cursor=cursor,
            time=message.time.decode(),
            msg_id=msg_id.decode() if msg_id else None,
            most_bytes=most_bytes,
        )
    except codec.Poison:
        return None


class _Queue:
    """A sink that an iterator empties. When it is full it takes nothing more, and remembers where that was."""

    def __init__(self, log: Log, patterns: Sequence[str], since: Positions | None) -> None:
        self.items: deque[Event | Gap] = deque()
        self.filled = asyncio.Event()
        self.resume_at: Positions | None = None
        self.ended = False
        self._put_to: dict[str, Cursor] = {}
        self._log = log
        self.follower = Follower(log, patterns, self, since)
        log.connection.watch(self._state_changed)

    def event(self, message: Stored, prev: int | None) -> bool:  # noqa: ARG002 - the chain is for sockets
        if self.resume_at is None:
            cursor = self._log.position(message.stream, message.seq)
            if (event := event_of(message, str(cursor), self._log.settings.max_body_bytes)) is None:
                return False
            self._put(event, cursor)
        return True

    def gap(self, before: Cursor, after: Cursor, reason: GapReason) -> None:
        if self.resume_at is None:
            self._put(Gap(str(before), str(after), reason), after)

    def degraded(self) -> None:
        """The iterator just waits."""

    def healed(self) -> None:
        """The iterator goes on."""

    def end(self) -> None:
        """Nothing more comes."""
        self.ended = True
        self.follower.stop()
        self._log.connection.unwatch(self._state_changed)
        self.filled.set()

    def _state_changed(self, state: str) -> None:
        if state == "closed":
            self.end()

    def _put(self, item: Event | Gap, cursor: Cursor) -> None:
        self.items.append(item)
        self._put_to[cursor.letter] = cursor
        self.filled.set()
        if len(self.items) >= MOST_WAITING:
            self.resume_at = Positions({**self.follower.positions, **self._put_to}.values())


class Feed:
    """Events as they come, once and in order: an async iterator, and a context manager that ends it.

    A reader that is slower than the events costs bounded memory: the log is the buffer.
    """

    def __init__(self, log: Log, patterns: Sequence[str], since: Positions | None = None) -> None:
        """Prefer `Mesh.subscribe`. Follows from this moment on."""
        self._log = log
        self._patterns = [check_pattern(pattern) for pattern in patterns]
        if unknown := [pattern for pattern in self._patterns if not log.layout.split([pattern])]:
            log.layout.stream_of(unknown[0])  # says what would help
        self._queue = self._follow(since)

    def _follow(self, since: Positions | None) -> _Queue:
        queue = _Queue(self._log, self._patterns, since)
        queue.follower.start()
        return queue

    async def ready(self, timeout_s: float = 5.0) -> None:
        """Wait until nothing published from now on can be missed; raises `MeshUnavailable`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._queue.follower.wait_live()
        except TimeoutError:
            raise MeshUnavailable(f"the log could not be read within {timeout_s} s") from None

    @property
    def positions(self) -> Positions:
        """Where the streams were followed up to, to go on from later: all that was received, not all that was read."""
        return self._queue.follower.positions

    def close(self) -> None:
        """End it."""
        if not self._queue.ended:
            self._queue.end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event | Gap:
        while not self._queue.items:
            if self._queue.ended:
                raise StopAsyncIteration
            if self._queue.resume_at is not None:
                self.close()
                self._queue = self._follow(self._queue.resume_at)
            self._queue.filled.clear()
            await self._queue.filled.wait()
        return self._queue.items.popleft()

    async def __aenter__(self) -> Self:
        await self.ready()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        """A loop over it that was left by `break` ends it too."""
        if hasattr(self, "_queue") and not self._log.connection.is_closed:
            self.close()
