"""A loop that everybody can watch: `track` wraps what it goes through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable, Sized
from typing import TypeVar

from daena_mesh.agent import Agent
from daena_mesh.ids import uuid7
from daena_mesh.progress_bar import progress_bar
from daena_mesh.task import Task

T = TypeVar("T")


async def track(
    items: Iterable[T] | AsyncIterable[T],
    at: Agent | Task,
    task_id: str | None = None,
    *,
    total: float | None = None,
    title: str | None = None,
) -> AsyncIterator[T]:
    """Go through ``items`` in a loop that everybody can watch, and that can be cancelled.

    >>> async for page in track(pages, agent, title="Reading"):
    ...     await read(page)

    With an agent the loop is a task of its own, ``task_id`` or a fresh one: ``completed`` at its end, ``failed`` when
    ``items`` raises, ``cancelled`` when the loop is left early. Whoever cancels it through the mesh ends the loop
    before its next item. With a task it advances that one. ``total`` is ``len(items)`` where there is one. In a
    terminal a bar is drawn too, if `rich` is installed. Raises `InvalidId` and `Conflict`.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    if isinstance(at, Task):
        if at.total is None:
            at.total = total
        with progress_bar(title or at.title or at.id) as show:
            async for item in _each(items, _Ending()):
                yield item
                await at.advance()
                show(at.progress)
        return
    task, ending = at.task(task_id or uuid7(), total=total, title=title), _Ending()
    task.begin(ending.ask)
    error: BaseException | None = None
    try:
        with progress_bar(title or task.id) as show:
            show(task.progress)
            async for item in _each(items, ending):
                yield item
                await task.advance()
                show(task.progress)
        if ending.is_asked:
            error = asyncio.CancelledError()
    except BaseException as raised:
        error = raised
        raise
    finally:
        await task.finish(error)


class _Ending:
    """Whether a loop is asked to end, and who waits for its next item."""

    def __init__(self) -> None:
        self.is_asked = False
        self._waiting: asyncio.Task[object] | None = None

    def ask(self) -> None:
        """End the loop before its next item. What waits for that waits no longer."""
        self.is_asked = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def or_next(self, item: Awaitable[T]) -> T:
        """Wait for the next item; raises `StopAsyncIteration` where there is none, or the end is asked for."""
        running = asyncio.current_task()
        if running is None:
            raise RuntimeError("a loop is tracked within an asyncio task")
        was_cancelling, self._waiting = running.cancelling(), running
        try:
            return await item
        except asyncio.CancelledError:
            if self.is_asked and running.uncancel() <= was_cancelling:
                raise StopAsyncIteration from None
            raise
        finally:
            self._waiting = None


async def _each(items: Iterable[T] | AsyncIterable[T], ending: _Ending) -> AsyncIterator[T]:
    if not isinstance(items, AsyncIterable):
        for item in items:
            if ending.is_asked:
                return
            yield item
        return
    iterator = aiter(items)
    while not ending.is_asked:
        try:
            item = await ending.or_next(anext(iterator))
        except StopAsyncIteration:
            return
        yield item
