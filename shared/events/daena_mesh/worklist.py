"""The tasks that an agent works on, and how they are cancelled from afar."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec

from daena_mesh.errors import Conflict, InvalidEvent

if TYPE_CHECKING:
    from daena_mesh.task import Task

_ANOTHER_S = 0.2
"""Another process of the same name may have the task, and answers first."""
_OK = b'{"ok":true}'


class _Cancel(msgspec.Struct):
    task_id: str


class Worklist:
    """The tasks of one agent that run, by their ids."""

    def __init__(self, name: str, changed: Callable[[], None]) -> None:
        """``changed`` is called whenever a task begins or ends."""
        self._name = name
        self._changed = changed
        self._tasks: dict[str, Task] = {}
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(tuple(self._tasks.values()))

    def begin(self, task: Task) -> None:
        """A task begins; raises `Conflict` for an id that is being worked on."""
        if task.id in self._tasks:
            raise Conflict(f"agent {self._name} works on a task {task.id!r} already")
        self._tasks[task.id] = task
        self._is_empty.clear()
        self._changed()

    def end(self, task: Task) -> None:
        """A task ended."""
        if self._tasks.get(task.id) is task:
            del self._tasks[task.id]
            if not self._tasks:
                self._is_empty.set()
            self._changed()

    def tell_again(self) -> None:
        """What was told of them may be lost."""
        for task in self:
            with contextlib.suppress(InvalidEvent):
                task.tell()

    async def close(self, within_s: float) -> None:
        """Cancel what is left in blocks that outlive the agent's own, and give them ``within_s`` seconds."""
        for task in self:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._is_empty.wait()
        for task in self:
            task.give_up()

    async def cancel(self, body: bytes) -> bytes:
        """Answer ``svc.<name>.cancel``: ``{"task_id": …}`` ends that task."""
        try:
            task_id = msgspec.json.decode(body, type=_Cancel).task_id
        except msgspec.MsgspecError as error:
            return _refused(f'a task is cancelled with {{"task_id": …}}: {error}')
        task = self._tasks.get(task_id)
        if task is not None and task.cancel():
            return _OK
        await asyncio.sleep(_ANOTHER_S)
        return _refused(f"agent {self._name} does not work on a task {task_id[:80]!r}")


def _refused(reason: str) -> bytes:
    return msgspec.json.encode({"ok": False, "error": reason})
