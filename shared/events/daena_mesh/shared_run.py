"""One answer for all who ask the same at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class SharedRun(Generic[Answer]):
    """Runs a question for everybody who asks while it waits to begin.

    Who asks while a run is under way waits for the next one: an answer never dates from before the question. So
    thousands who ask at once cost two runs, and each of them may rely on what it is told.
    """

    def __init__(self, question: Callable[[], Awaitable[Answer]]) -> None:
        """``question`` is what is run; what it raises is raised to all who asked."""
        self._question = question
        self._running: asyncio.Task[Answer] | None = None
        self._next: asyncio.Task[Answer] | None = None

    async def ask(self) -> Answer:
        """The answer of a run that begins after this call."""
        if self._next is None:
            self._next = asyncio.create_task(self._run(self._running))
            self._next.add_done_callback(_forget_error)
        return await asyncio.shield(self._next)

    async def _run(self, before: asyncio.Task[Answer] | None) -> Answer:
        if before is not None:
            await asyncio.wait([before])
        self._running, self._next = self._next, None
        return await self._question()


def _forget_error(task: asyncio.Task[Answer]) -> None:
    """Whoever asked was told; if nobody waited to the end, nobody wants to know."""
    if not task.cancelled():
        task.exception()
