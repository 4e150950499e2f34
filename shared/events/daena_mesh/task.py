"""A task of an agent: a block whose progress everybody sees, and that ends by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec

from daena_mesh.errors import InvalidEvent
from daena_mesh.progress import Progress, ProgressState
from daena_mesh.subjects import check_id, subject_for

if TYPE_CHECKING:
    from daena_mesh.agent import Agent

Status = Literal["running", "completed", "failed", "cancelled"]

UPDATES_PER_S = 10.0
_LAST_S = 1.0
_MOST_TEXT = 500
_log = logging.getLogger(__name__)


class Task:
    """What an agent works on, within ``async with``.

    ``task.update`` says ``running`` when the block begins, ``completed`` at its end, ``failed`` with the reason when it
    raises, and ``cancelled`` when it was cancelled. Whoever cancels it through the mesh ends the block and nothing
    else: the program goes on behind it.
    """

    def __init__(self, agent: Agent, task_id: str, *, total: float | None, title: str | None) -> None:
        """Prefer `Agent.task`; raises `InvalidId` and `ValueError`."""
        self.id = check_id(task_id, "task_id")
        self.title = None if title is None else bounded(title)
        self.status: Status = "running"
        self.reason: str | None = None
        self._agent = agent
        self._clock = asyncio.get_running_loop().time
        self._progress = Progress(total, at=self._clock())
        self._line = agent.voice.line(subject_for("task.update", self.id, agent.name), per_s=UPDATES_PER_S)
        self._end_it: Callable[[], object] | None = None
        self._was_begun = False
        self._running: asyncio.Task[object] | None = None
        self._was_cancelling = 0
        self._is_asked_to_end = False

    @property
    def progress(self) -> ProgressState:
        """How far it has come."""
        return self._progress.state(self._clock())

    @property
    def total(self) -> float | None:
        """How much there is to do; may be set where that is learned later. Raises `ValueError`."""
        return self._progress.total

    @total.setter
    def total(self, total: float | None) -> None:
        self._progress.expect(total)

    @property
    def coalesced(self) -> int:
        """How many updates were never sent, because a newer one took their place."""
        return self._line.coalesced

    async def advance(self, n: float = 1, note: str | None = None) -> None:
        """``n`` more are done; ``note`` says what goes on, until the next one.

        Never waits for NATS: of a burst the first is told at once, the last always, 10 a second at most. Raises
        `ValueError`.
        """
        self._progress.advance(n, at=self._clock())
        if note is not None:
            self._progress.note = bounded(note)
        await self._agent.voice.breathe(goes_now=self.tell())

    def tell(self) -> bool:
        """Tell how it stands, soon; whether that goes now. Raises `InvalidEvent`."""
        payload: dict[str, Any] = {
            "task_id": self.id,
            "agent_id": self._agent.name,
            "title": self.title,
            "status": self.status,
            "progress": msgspec.structs.asdict(self.progress),
        }
        if self.reason is not None:
            payload["reason"] = self.reason
        return self._line.tell(payload)

    def cancel(self) -> bool:
        """End the block at what it awaits; False if it has ended."""
        if self._end_it is None:
            return False
        if not self._is_asked_to_end:
            self._is_asked_to_end = True
            self._end_it()
        return True

    # -- life ---------------------------------------------------------------------------------------------------

    def begin(self, end_it: Callable[[], object]) -> None:
        """It runs from now on; ``end_it`` is called when somebody cancels it. Raises `Conflict`."""
        if self._was_begun:
            raise RuntimeError(f"task {self.id} was begun already; agent.task(…) gives another one")
        self._agent.begin(self, self._line)
        self._was_begun, self._end_it = True, end_it
        self._progress = Progress(self.total, at=self._clock())
        try:
            self.tell()
        except BaseException:
            self._agent.work.end(self)
            raise

    async def finish(self, error: BaseException | None) -> None:
        """It has ended, by ``error`` if there is one, and tells so."""
        if self._is_over(error):
            await self._agent.voice.see_off(self._line, _LAST_S)

    def give_up(self) -> None:
        """It may run on, but nobody is told of it any more."""
        self._is_over(asyncio.CancelledError())

    def _is_over(self, error: BaseException | None) -> bool:
        if self._end_it is None:
            return False
        self._end_it = None
        self._agent.work.end(self)
        if error is None:
            self.status = "completed"
        elif isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            self.status = "cancelled"
        else:
            self.status, self.reason = "failed", describe(error)
        try:
            self.tell()
        except InvalidEvent as refused:
            _log.warning("the end of task %s is not told: %s", self.id, refused)
        return True

    async def __aenter__(self) -> Self:
        self._running = running = asyncio.current_task()
        if running is None:
            raise RuntimeError("a task runs within an asyncio task")
        self._was_cancelling = running.cancelling()
        self.begin(running.cancel)
        try:
            await self._agent.voice.breathe(goes_now=True)
        except asyncio.CancelledError as cancelled:
            if not self._is_asked_to_end or running.uncancel() > self._was_cancelling:
                await self.finish(cancelled)
                raise
            running.cancel()  # again, at what the block awaits first: it cannot be left before it is entered
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        late = None
        if self._is_asked_to_end and error is None:
            try:
                await asyncio.sleep(0)  # it may be cancelled by the block itself, which awaited nothing after that
            except asyncio.CancelledError as cancelled:
                error = late = cancelled
        running, is_ours = self._running, False
        if self._is_asked_to_end and running is not None:
            # As asyncio.timeout does it: what was asked for here is swallowed, unless somebody else cancelled too.
            is_ours = running.uncancel() <= self._was_cancelling
        await self.finish(error)
        if late is not None and not is_ours:
            raise late
        return is_ours and isinstance(error, asyncio.CancelledError)


def describe(error: BaseException) -> str:
    """What went wrong, for a person; never too long."""
    return bounded(f"{type(error).__name__}: {error}")


def bounded(text: str) -> str:
    """At most 500 characters that every reader understands."""
    return text[:_MOST_TEXT].encode("utf-8", "replace").decode()
