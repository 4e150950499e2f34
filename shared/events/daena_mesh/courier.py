"""Carries the newest of what it is given into the log: one at a time, at a bounded rate, and never in anybody's way.

While NATS is away it waits with the newest alone. So an hour without NATS leaves one event behind for each courier, and
not the whole hour.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from daena_mesh.coalescer import Coalescer

T = TypeVar("T")


class Courier(Generic[T]):
    """Gives items to ``deliver``, of many only the newest."""

    def __init__(self, deliver: Callable[[T], Awaitable[None]], *, per_s: float, gate: asyncio.Event) -> None:
        """``deliver`` does not raise; nothing is given to it while ``gate`` is not set, but for the last."""
        self._deliver = deliver
        self._coalescer: Coalescer[T] = Coalescer(per_s)
        self._gate = gate
        self._hurry = asyncio.Event()
        self._carrying: asyncio.Task[None] | None = None

    @property
    def coalesced(self) -> int:
        """How many items were never carried, because a newer one took their place."""
        return self._coalescer.coalesced

    def offer(self, item: T) -> bool:
        """Carry ``item`` as soon as that may be; whether it goes now, once the event loop turns."""
        self._coalescer.offer(item)
        if self._carrying is not None and not self._carrying.done():
            return False
        self._carrying = asyncio.create_task(self._carry(), name="courier")
        return (self._coalescer.due_at or 0) <= asyncio.get_running_loop().time()

    async def finish(self, within_s: float) -> bool:
        """Carry what is left at once, and wait for it, for ``within_s`` at most; whether it is done."""
        self._hurry.set()
        if self._carrying is None:
            return True
        return bool((await asyncio.wait({self._carrying}, timeout=within_s))[0])

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once nothing is left."""
        if self._carrying is None or self._carrying.done():
            callback()
        else:
            self._carrying.add_done_callback(lambda _: callback())

    def stop(self) -> None:
        """Carry nothing more."""
        if self._carrying is not None:
            self._carrying.cancel()

    async def _carry(self) -> None:
        clock = asyncio.get_running_loop().time
        while (due_at := self._coalescer.due_at) is not None:
            await self._may_go(due_at - clock())
            item = self._coalescer.last(clock()) if self._hurry.is_set() else self._coalescer.take(clock())
            if item is not None:
                await self._deliver(*item)

    async def _may_go(self, pause_s: float) -> None:
        if pause_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._hurry.wait()
        if not self._gate.is_set() and not self._hurry.is_set():
            waits = [asyncio.create_task(event.wait()) for event in (self._gate, self._hurry)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
