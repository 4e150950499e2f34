"""The recorder: every event of a mesh, to be asked for what should have come."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from daena_mesh.cursors import Cursor
from daena_mesh.errors import MeshUnavailable
from daena_mesh.events import Event
from daena_mesh.feed import event_of
from daena_mesh.follower import Follower, GapReason
from daena_mesh.layout import LETTERS
from daena_mesh.mesh import Mesh
from daena_mesh.stored import Stored
from daena_mesh.testing.background import Background
from daena_mesh.testing.matching import Expectation

_POLL_S = 0.005


class Recorder:
    """Records every event of a mesh, in the order of its storing, on an event loop of its own.

    So it serves tests with and without an event loop alike, whichever loop that is.

    >>> await recorder.expect("task.update", task_id="t", status="completed", within_s=1)
    """

    def __init__(self, background: Background, mesh: Mesh) -> None:
        """Prefer the fixture ``recorder``. ``mesh`` lives on the loop of ``background``."""
        self._background = background
        self._mesh = mesh
        self._tape = _Tape(mesh)
        self._follower = Follower(mesh.log, (">",), self._tape)

    @property
    def events(self) -> list[Event]:
        """What has come so far; after `caught_up` that is all that was stored before it."""
        return list(self._tape.events)

    def found(self, event_type: str, **fields: Any) -> list[Event]:
        """Those of `events` that are of this type and have these fields, none if need be."""
        expectation = Expectation(event_type, fields)
        return [event for event in self.events if expectation.is_met_by(event)]

    async def expect(self, event_type: str, *, within_s: float = 5.0, **fields: Any) -> Event:
        """The first event of this type with these fields in its payload, which has come or comes in ``within_s``.

        Objects among ``fields`` may leave out keys. Raises `AssertionError`, which shows what came instead.
        """
        __tracebackhide__ = True  # pytest shows the line of the test
        expecting = self._expect(Expectation(event_type, fields), within_s)
        return _came(await asyncio.wrap_future(self._background.begin(expecting)))

    def wait_for(self, event_type: str, *, within_s: float = 5.0, **fields: Any) -> Event:
        """What `expect` does, for tests without an event loop: the caller waits."""
        __tracebackhide__ = True
        return _came(self._background.run(self._expect(Expectation(event_type, fields), within_s)))

    async def caught_up(self, within_s: float = 5.0) -> None:
        """Wait until all that is stored by now was recorded; raises `MeshUnavailable` when that takes too long."""
        await asyncio.wrap_future(self._background.begin(self._caught_up(within_s)))

    def catch_up(self, within_s: float = 5.0) -> None:
        """What `caught_up` does, for tests without an event loop."""
        self._background.run(self._caught_up(within_s))

    def clear(self) -> None:
        """Forget what has come so far."""
        self._tape.events.clear()

    async def start(self) -> None:
        """Begin, on the loop of the mesh; nothing that is stored from now on is missed."""
        self._follower.start()
        await self._follower.wait_live()

    async def _expect(self, expectation: Expectation, within_s: float) -> Event | str:
        deadline = time.monotonic() + within_s
        while True:
            self._tape.changed.clear()
            for event in self._tape.events:
                if expectation.is_met_by(event):
                    return event
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._tape.changed.wait()
            except TimeoutError:
                return expectation.failure(self.events, within_s)

    async def _caught_up(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                heads = await self._mesh.log.stand.ask()
                while any(self._stands_at(stream) < head for stream, head in heads.items()):  # noqa: ASYNC110 - as below
                    await asyncio.sleep(_POLL_S)  # positions tell nobody that they move
        except TimeoutError:
            raise MeshUnavailable(f"the recorder has not caught up within {within_s:g} s") from None

    def _stands_at(self, stream: str) -> int:
        cursor: Cursor | None = self._follower.positions.get(LETTERS[stream])
        return cursor.seq if cursor is not None else 0


def _came(found: Event | str) -> Event:
    __tracebackhide__ = True
    if isinstance(found, Event):
        return found
    raise AssertionError(found)


class _Tape:
    """The sink of the recorder's follower."""

    def __init__(self, mesh: Mesh) -> None:
        self.events: list[Event] = []
        self.changed = asyncio.Event()
        self._log = mesh.log

    def event(self, message: Stored, prev: int | None) -> bool:  # noqa: ARG002 - the chain is for sockets
        cursor = self._log.cursor(message.stream, message.seq)
        if event := event_of(message, cursor, self._log.settings.max_body_bytes):
            self.events.append(event)
            self.changed.set()
        return True  # also for poison: the position shall tell how far the log was read

    def gap(self, before: Cursor, after: Cursor, reason: GapReason) -> None:
        """What was lost cannot be recorded."""

    def degraded(self) -> None:
        """The recorder just waits."""

    def healed(self) -> None:
        """The recorder goes on."""
