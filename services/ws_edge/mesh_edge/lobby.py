"""Handshakes that wait until their topic knows where it stands.

Who is answered before that could be sent an event which the topic takes for older than its beginning. So whatever is
published after a socket has opened is shown to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

OPENS_WITHIN_S = 2.0

Go = Callable[[], object]


class Keeper(Protocol):
    """Who says which guests may go in, where not everybody may: see `mesh_edge.doorkeeper`."""

    def note(self, go: Go, user: str | None) -> None:
        """Somebody has come."""

    def passes(self, go: Go) -> bool:
        """Whether a guest need not wait any longer; else the keeper calls ``go``, when that is so."""

    def leave(self, go: Go) -> None:
        """It has gone, or come in."""


class Lobby:
    """Where the clients of one topic wait, without a task or a timer for each."""

    __slots__ = ("_emptied", "_guests", "_keeper", "_late", "_timer", "is_open")

    def __init__(self, *, late: Callable[[], None], emptied: Callable[[], None], keeper: Keeper | None = None) -> None:
        """``late`` is called, once, after two seconds of waiting; ``emptied`` whenever the last guest has left."""
        self.is_open = False
        """Nobody needs to wait."""
        self._late = late
        self._emptied = emptied
        self._keeper = keeper
        self._guests: dict[Go, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nobody is on the way in."""
        return not self._guests

    def enter(self, go: Go, user: str | None = None) -> None:
        """Call ``go`` soon after it has opened. The guest counts as one until it leaves, also after that."""
        if self.admit(go, user):
            asyncio.get_running_loop().call_soon(go)

    def admit(self, go: Go, user: str | None = None) -> bool:
        """Take in ``user``, and say whether they need not wait; else ``go`` is called soon after it has opened.

        Where there is a keeper, it is called no sooner than that lets them pass.
        """
        self._guests[go] = None
        if self._keeper is not None:
            self._keeper.note(go, user)
        if not self.is_open and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(OPENS_WITHIN_S, self._late)
        return self.is_open and self._passes(go)

    def leave(self, go: Go) -> None:
        """The guest follows the topic now, or has gone."""
        if self._keeper is not None:
            self._keeper.leave(go)
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
            if self._passes(go):
                loop.call_soon(go)

    def _passes(self, go: Go) -> bool:
        return self._keeper is None or self._keeper.passes(go)

    @asynccontextmanager
    async def wait(self, user: str | None = None) -> AsyncIterator[Go]:
        """Wait until it has opened, as the guest that is given until the block ends."""
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def go() -> None:
            if not opened.done():
                opened.set_result(None)

        self.enter(go, user)
        try:
            await opened
            yield go
        finally:
            self.leave(go)
