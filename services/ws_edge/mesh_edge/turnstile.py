"""So much at a time: when thousands come back at once, everybody else's events go on meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from weakref import WeakKeyDictionary

TURN_S = 0.01
"""How long a turn of the event loop may be busy with those who come."""

REST_S = 0.004
"""How long nobody is let in after those who came before: who comes meanwhile is let in together with others, while code
and data are still in the processor's caches (docs/experiments/connect.md)."""


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Turnstile] = WeakKeyDictionary()


def turnstile_of(loop: asyncio.AbstractEventLoop) -> Turnstile:
    """The one of an event loop: there is one line, whatever door somebody comes to."""
    if (found := _of_loops.get(loop)) is None:
        found = _of_loops[loop] = Turnstile()
    return found


class Turnstile:
    """Calls back in the order of coming, for a while in each turn of the event loop, and rests behind the last."""

    __slots__ = ("_line", "_rests_until")

    def __init__(self) -> None:
        """Nobody stands in line."""
        self._line: deque[Callable[[], object]] = deque()
        self._rests_until = 0.0

    def line_up(self, go: Callable[[], object]) -> None:
        """Call ``go`` when it is its turn.

        It returns True where the work is still to come, in the next turn of the event loop, as that of a task is: then
        nobody else has a turn before that.
        """
        if not self._line:
            loop = asyncio.get_running_loop()
            if self._rests_until > loop.time():
                loop.call_at(self._rests_until, self._turn)
            else:
                loop.call_soon(self._turn)
        self._line.append(go)

    async def turn(self) -> None:
        """Wait until it is the turn of this task."""
        has_come: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def go() -> bool:
            if has_come.done():
                return False  # it was cancelled
            has_come.set_result(None)
            return True

        self.line_up(go)
        await has_come

    def _turn(self) -> None:
        line, until = self._line, time.perf_counter() + TURN_S
        try:
            while line:
                goes_on = line[0]()
                line.popleft()
                if goes_on is True or time.perf_counter() >= until:
                    break
        except BaseException:
            line.popleft()
            raise
        finally:
            loop = asyncio.get_running_loop()
            if line:
                loop.call_soon(self._turn)
            else:
                self._rests_until = loop.time() + REST_S
