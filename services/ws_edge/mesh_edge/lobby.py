"""Handshakes that wait until their topic knows where it stands.

Who is answered before that could be sent an event which the topic takes for older than its beginning. So whatever is
published after a socket has opened is shown to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

OPENS_WITHIN_S = 2.0

Go = Callable[[], object]


class Lobby:
    """Where the clients of one topic wait, without a task or a timer for each."""

    __slots__ = ("_emptied", "_guests", "_late", "_timer", "is_open")

    def __init__(self, *, late: Callable[[], None], emptied: Callable[[], None]) -> None:
        """``late`` is called, once, after two seconds of waiting; ``emptied`` whenever the last guest has left."""
        self.is_open = False
        """Nobody needs to wait."""
        self._late = late
        self._emptied = emptied
        self._guests: dict[Go, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nobody is on the way in."""
        return not self._guests

    def enter(self, go: Go) -> None:
        """Call ``go`` soon after it has opened. The guest counts as one until it leaves, also after that."""
        if self.admit(go):
            asyncio.get_running_loop().call_soon(go)

    def admit(self, go: Go) -> bool:
        """Take a guest in, and say whether it needs not wait; else ``go`` is called soon after it has opened."""
        self._guests[go] = None
        if not self.is_open and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(OPENS_WITHIN_S, self._late)
        return self.is_open

    def leave(self, go: Go) -> None:
        """The guest follows the topic now, or has gone."""
        if self._guests.pop(go, self) is None and not self._guests:
            self._emptied()

    def open(self) -> None:
        """Let in who waits, and whoever comes."""
        if self.is_open:
            return
        self.is_open = True
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        for go in self._guests:
            loop.call_soon(go)

    @asynccontextmanager
    async def wait(self) -> AsyncIterator[None]:
        """Wait until it has opened, as a guest until the block ends."""
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def go() -> None:
            if not opened.done():
                opened.set_result(None)

        self.enter(go)
        try:
            await opened
            yield
        finally:
            self.leave(go)
