"""Tokens run out: whoever came with one is closed then, unless a fresh one came in time.

A bucket for each second in which some do, and one timer for the edge: a token costs nothing until its time has come.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable

from mesh_edge import closing
from mesh_edge.link import Link

_AT_ONCE = 200
_NEVER = 1e11
"""Seconds since 1970; what is later than that is not waited for."""


class Expiry:
    """Closes links at the second in which their tokens have expired."""

    def __init__(self) -> None:
        self._due: dict[int, dict[Link, None]] = {}
        self._done = 0
        """The last second whose links were closed."""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, link: Link) -> None:
        """Close ``link`` when the token of its visitor has expired."""
        until = link.visitor.until
        if until >= _NEVER:
            return
        second = math.ceil(until)  # as `_second`: a call less for each who comes
        if (links := self._due.get(second)) is None:
            links = self._due[second] = {}
        links[link] = None
        if second <= self._done:
            self._done = second - 1
        if self._timer is None:
            self._done = min(int(time.time()), second - 1)
            self._set()

    def discard(self, link: Link) -> None:
        """It is gone, or its token is to be another one."""
        if (second := _second(link)) is not None and (links := self._due.get(second)) is not None:
            links.pop(link, None)
            if not links:
                del self._due[second]

    @property
    def longest_s(self) -> float:
        """For how long the token of some link is good that is good for longest; 0 without any."""
        return max(0.0, max(self._due, default=0) - time.time())

    def stop(self) -> None:
        """Close nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(1 - time.time() % 1, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = int(time.time())
        seconds: Iterable[int] = range(self._done + 1, now + 1)
        if now - self._done > len(self._due):  # also where a machine has slept, or its clock was set
            seconds = sorted(second for second in self._due if second <= now)
        self._close([link for second in seconds for link in self._due.pop(second, ())])
        self._done = max(self._done, now)
        if self._due:
            self._set()

    def _close(self, links: list[Link]) -> None:
        """Some now and the others in the next turns of the loop, so that nobody else waits."""
        now = time.time()
        for link in links[:_AT_ONCE]:
            if link.visitor.until <= now:
                link.close(closing.UNAUTHENTICATED)
        if rest := links[_AT_ONCE:]:
            asyncio.get_running_loop().call_soon(self._close, rest)


def _second(link: Link) -> int | None:
    until = link.visitor.until
    return math.ceil(until) if until < _NEVER else None
