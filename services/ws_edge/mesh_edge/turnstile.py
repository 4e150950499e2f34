"""So much at a time: when thousands come back at once, everybody else's events go on meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

TURN_S = 0.01
"""How long a turn of the event loop may be busy with those who come."""


class Turnstile:
    """Calls back in the order of coming, for a while in each turn of the event loop."""

    __slots__ = ("_line",)

    def __init__(self) -> None:
        """Nobody stands in line."""
        self._line: deque[Callable[[], object]] = deque()

    def line_up(self, go: Callable[[], object]) -> None:
        """Call ``go`` when it is its turn."""
        if not self._line:
            asyncio.get_running_loop().call_soon(self._turn)
        self._line.append(go)

    def _turn(self) -> None:
        line, until = self._line, time.perf_counter() + TURN_S
        try:
            while line:
                line[0]()
                line.popleft()
                if time.perf_counter() >= until:
                    break
        except BaseException:
            line.popleft()
            raise
        finally:
            if line:
                asyncio.get_running_loop().call_soon(self._turn)
