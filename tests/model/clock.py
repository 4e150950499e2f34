"""An event loop whose time moves only when it is told to, so that a run of the edge is the same each time."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from asyncio import events
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any

_MOST_TURNS = 5_000

_Base: Any = asyncio.AbstractEventLoop
"""What is not made here raises `NotImplementedError`."""

Connect = Callable[[Callable[[], asyncio.BaseProtocol]], tuple[asyncio.Transport, asyncio.BaseProtocol]]


class VirtualLoop(_Base):  # type: ignore[misc]
    """As much of asyncio's loop as the edge and nats-py use; connections are made by ``connect``."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.errors: list[str] = []
        """What callbacks raised and nobody caught."""
        self.connect: Connect | None = None
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = itertools.count()
        self._begun: list[asyncio.Task[Any]] = []

    # -- for the test -------------------------------------------------------------------------------------------

    @contextmanager
    def running(self) -> Iterator[None]:
        """Within this, it is the running loop."""
        events._set_running_loop(self)
        try:
            yield
        finally:
            events._set_running_loop(None)

    def turn(self) -> None:
        """Run what is ready now, as asyncio does between two looks at its sockets."""
        while self._timers and self._timers[0][0] <= self.now:
            self._ready.append(heapq.heappop(self._timers)[2])
        for _ in range(len(self._ready)):
            handle = self._ready.popleft()
            if not handle.cancelled():
                handle._run()

    def settle(self) -> None:
        """Run until nothing is left to do before time passes."""
        for _ in range(_MOST_TURNS):
            self.turn()
            if not self._ready:
                return
        raise AssertionError(f"no end after {_MOST_TURNS} turns, without time passing")

    def next_timer(self) -> float | None:
        """Give the time of the next timer."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        """Begin with ``work``."""
        self._begun.append(self.create_task(work))

    # -- for asyncio --------------------------------------------------------------------------------------------

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, **options)

    def create_connection(self, protocol_factory: Any, *_args: Any, **_options: Any) -> Any:
        async def connected() -> Any:
            await asyncio.sleep(0)
            assert self.connect is not None
            return self.connect(protocol_factory)

        return connected()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(f"{context.get('message')}: {context.get('exception')!r}")

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Let it lie: a cancelled handle is passed over when its time comes."""


def finish(loop: VirtualLoop, work: Awaitable[object], meanwhile: Callable[[], object] = lambda: None) -> None:
    """Run ``work`` to its end, letting time pass where it waits; ``meanwhile`` is called before that."""
    task = asyncio.ensure_future(work, loop=loop)
    for _ in range(_MOST_TURNS):
        loop.settle()
        meanwhile()
        if task.done():
            task.result()
            return
        when = loop.next_timer()
        assert when is not None, "it waits for ever"
        loop.now = max(loop.now, when)
    raise AssertionError("it does not end")
