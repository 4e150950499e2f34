"""An agent on the mesh: there while its block runs, and everybody sees what it does."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import msgspec

from daena_mesh.answering import Answering, Handler
from daena_mesh.asks import Target
from daena_mesh.chat import Chat
from daena_mesh.connection import State
from daena_mesh.courier import Courier
from daena_mesh.errors import Conflict, InvalidEvent, MeshError
from daena_mesh.heartbeat import Heartbeat
from daena_mesh.ids import now, uuid7
from daena_mesh.micro import Endpoint, Service
from daena_mesh.subjects import check_id, check_name
from daena_mesh.task import Task, describe

if TYPE_CHECKING:
    from daena_mesh.mesh import Mesh

ACTIVITIES_PER_S = 20.0
_LEAVE_S = 2.0
_GOODBYE_S = 0.5
_PATIENCE_S = 0.5
_BREATH_S = 0.005
_MOST_TASKS = 500
_ANOTHER_S = 0.2
"""Another process of the same name may have the task, and answers first."""
_OK = b'{"ok":true}'
_log = logging.getLogger(__name__)

Letters = Courier[tuple[str, bytes]]
"""Carries events: their ids and their bodies."""


class _Cancel(msgspec.Struct):
    task_id: str


class Agent:
    """What an agent is and does, within ``async with``.

    >>> async with mesh.agent("researcher") as agent:
    ...     await agent.activity("searching", query="nats")
    """

    def __init__(
        self,
        mesh: Mesh,
        name: str,
        *,
        departments: Sequence[str] = (),
        description: str = "",
        concurrency: int = 8,
        activities_per_s: float = ACTIVITIES_PER_S,
    ) -> None:
        """Prefer `Mesh.agent`. Raises `InvalidId` and `ValueError`."""
        self.name = check_name(name, "the name of an agent")
        self.mesh = mesh
        self.instance = secrets.token_hex(6)
        """Which process this is, of all that ever ran under the name."""
        self.departments = tuple(check_id(department, "department") for department in departments)
        self.description = description
        self.concurrency = concurrency
        self.serves: set[str] = set()
        """Whose questions it answers, such as ``agent/scout``; say `announce` after a change."""
        self.answering: set[str] = set()
        """The ``message_id`` of each question that is being answered; say `announce` after a change."""
        self._life: Literal["new", "here", "gone"] = "new"
        self._started_at = now()
        self._tasks: dict[str, Task] = {}
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._gate = asyncio.Event()
        self._couriers: set[Letters] = set()
        self._activity_subject = f"agent.{self.name}.activity"
        self._activity = self.courier(self._activity_subject, per_s=activities_per_s)
        self._couriers.add(self._activity)
        self._leaving: list[Callable[[], Awaitable[None]]] = []
        self._breathed_at = 0.0
        self._authored = False
        self.ask_endpoint = Endpoint("ask", f"ask.agent.{self.name}.*", metadata={"queue": "ASKS"})
        """The figures of the questions that it answered."""
        self.answers = Answering(
            mesh,
            sender=self.name,
            concurrency=concurrency,
            changed=self._answering_changed,
            figures=self.ask_endpoint.figures,
        )
        """The questions that it answers."""
        self.on_leave(self.answers.close)
        self._service = Service(
            mesh.connection,
            self.name,
            instance=self.instance,
            endpoints=[self.ask_endpoint, Endpoint("cancel", f"svc.{self.name}.cancel", handle=self._cancel)],
            description=description,
            metadata=self._metadata,
        )
        self._heartbeat = Heartbeat(
            mesh,
            self.name,
            self.instance,
            describe=self._describe,
            status=lambda: "busy" if self.is_busy else "online",
            serves=lambda: sorted(self.serves),
            doubted=self._tell_again,
        )

    # -- what it does -------------------------------------------------------------------------------------------

    async def activity(self, state: str | dict[str, Any], **detail: Any) -> None:
        """Tell what the agent does now: ``activity("searching", query="nats")``, or a JSON object.

        Never waits for NATS. Of a burst the first goes at once, the last always, and 20 a second at most. Raises
        `InvalidEvent` for what is no JSON.
        """
        self.check_is_here()
        activity = {"state": state, **detail} if isinstance(state, str) else {**state, **detail}
        self.offer(self._activity, self._activity_subject, {"agent_id": self.name, "activity": activity})
        await self.breathe()

    @property
    def coalesced(self) -> int:
        """How many activities were never sent, because a newer one took their place."""
        return self._activity.coalesced

    @property
    def is_busy(self) -> bool:
        """Whether it answers a question or works on a task."""
        return bool(self.answering or self._tasks)

    @property
    def tasks(self) -> dict[str, Task]:
        """The tasks it works on, by their ids."""
        return dict(self._tasks)

    def task(self, task_id: str, total: float | None = None, title: str | None = None) -> Task:
        """A task for ``async with``; ``total`` is how much there is to do. Raises `InvalidId` and `ValueError`."""
        return Task(self, task_id, total=total, title=title)

    def chat(self, session_id: str) -> Chat:
        """The chat of a session; raises `InvalidId`."""
        return self.mesh.chat(session_id)

    # -- what it is asked ---------------------------------------------------------------------------------------

    @overload
    def on_ask(self, handler: Handler, /) -> Handler: ...

    @overload
    def on_ask(self, *targets: str, sender: str | None = None) -> Callable[[Handler], Handler]: ...

    def on_ask(self, *targets: str | Handler, sender: str | None = None) -> Handler | Callable[[Handler], Handler]:
        """Have a coroutine function answer questions: ``@agent.on_ask``, or ``@agent.on_ask("department/hr")``.

        Without targets it answers what this agent and its departments are asked. It is given the `Ask` and a
        `StreamWriter` to write the answer with, and may return the text instead. Each question is answered by one of
        those who serve its target; where the function raises, it is tried again after 1 s and after 4 s, and given up
        then. Who asks sees the answer as ``sender``'s, the agent's by default. Raises `InvalidId`, and `TypeError` for
        what is no coroutine function.
        """
        if len(targets) == 1 and not isinstance(targets[0], str):
            return self.on_ask()(targets[0])
        named = [Target.parse(target) for target in targets if isinstance(target, str)]
        served = named or [Target("agent", self.name), *(Target("department", name) for name in self.departments)]

        def register(handler: Handler) -> Handler:
            if not inspect.iscoroutinefunction(handler):
                raise TypeError("what answers questions must be a coroutine function: async def (ask, out)")
            for target in served:
                self.answers.serve(target, handler, sender)
            return handler

        return register

    def _answering_changed(self) -> None:
        self.serves, self.answering = set(self.answers.serves), set(self.answers.at_work)
        self.announce()

    # -- life ---------------------------------------------------------------------------------------------------

    @property
    def is_entered(self) -> bool:
        """Whether its block runs."""
        return self._life == "here"

    def check_is_here(self) -> None:
        """Raises `RuntimeError` unless its block runs."""
        if not self.is_entered:
            raise RuntimeError(f"agent {self.name} is there within its block alone: async with mesh.agent(…) as agent")

    async def __aenter__(self) -> Self:
        if self._life != "new":
            raise RuntimeError(f"agent {self.name} was there already; mesh.agent(…) gives another one")
        self._life = "here"
        if self.mesh.author is None:
            self.mesh.author, self._authored = self.name, True
        connection = self.mesh.connection
        connection.watch(self._state_changed)
        self._state_changed(connection.state)
        self._service.start()
        try:
            if not await self._heartbeat.start(self.mesh.wait_s):
                _log.warning("agent %s is not announced yet: %s", self.name, self._heartbeat.trouble or "no answer")
        except BaseException:
            await self._leave(None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave(describe(error) if isinstance(error, Exception) else None)

    async def _leave(self, reason: str | None) -> None:
        try:
            for callback in reversed(self._leaving):
                try:
                    await callback()
                except Exception:  # noqa: BLE001 - or nobody would be told that it left
                    _log.exception("what agent %s was to do before it left failed", self.name)
            await self._end_tasks()
            clock = asyncio.get_running_loop().time
            leave_at = clock() + _LEAVE_S
            await asyncio.gather(*(courier.finish(_LEAVE_S) for courier in self._couriers))
            self._life = "gone"
            self._service.stop()
            await self._heartbeat.close(reason, max(_GOODBYE_S, leave_at - clock()))
        finally:
            self._life = "gone"
            self._service.stop()
            self._heartbeat.stop()
            self.mesh.connection.unwatch(self._state_changed)
            for courier in self._couriers:
                courier.stop()
            if self._authored:
                self.mesh.author = None

    async def _end_tasks(self) -> None:
        """Cancel what is left in blocks that outlive the agent's own, and give them a moment."""
        for task in self.tasks.values():
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await self._is_idle.wait()

    def on_leave(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Await ``callback`` when the agent leaves, before it tells so; the newest first."""
        self._leaving.append(callback)

    def announce(self) -> None:
        """What it serves, answers or works on changed: beat soon, and tell the status if that changed too."""
        self._heartbeat.soon()

    # -- for its tasks ------------------------------------------------------------------------------------------

    def begin(self, task: Task) -> None:
        """A task begins; raises `Conflict` for an id that is being worked on."""
        self.check_is_here()
        if task.id in self._tasks:
            raise Conflict(f"agent {self.name} works on a task {task.id!r} already")
        self._tasks[task.id] = task
        self._is_idle.clear()
        self._couriers.add(task.courier)
        self.announce()

    def end(self, task: Task) -> None:
        """A task ended."""
        if self._tasks.get(task.id) is task:
            del self._tasks[task.id]
            if not self._tasks:
                self._is_idle.set()
            self.announce()

    def courier(self, subject: str, *, per_s: float) -> Letters:
        """What carries events to ``subject``."""

        async def deliver(letter: tuple[str, bytes]) -> None:
            event_id, body = letter
            try:
                await self.mesh.put(subject, body, event_id, patience_s=_PATIENCE_S)
            except MeshError as error:
                _log.warning("an event on %s is given up: %s", subject, error)

        return Courier(deliver, per_s=per_s, gate=self._gate)

    def offer(self, courier: Letters, subject: str, payload: dict[str, Any]) -> None:
        """Have an event carried, as it is now; raises `InvalidEvent`."""
        event_id = uuid7()
        courier.offer((event_id, self.mesh.encode(subject, payload, event_id)))

    async def see_off(self, courier: Letters, within_s: float) -> None:
        """Let a courier carry its last, ``within_s`` seconds or else in the background, and know it no longer."""
        try:
            await courier.finish(within_s)
        finally:
            courier.when_done(lambda: self._couriers.discard(courier))

    async def breathe(self) -> None:
        """Let the event loop turn now and then: a loop that does nothing but report must not stop the heart."""
        at = asyncio.get_running_loop().time()
        if at - self._breathed_at > _BREATH_S:
            self._breathed_at = at
            await asyncio.sleep(0)

    def _tell_again(self) -> None:
        for task in self._tasks.values():
            with contextlib.suppress(InvalidEvent):
                task.tell()

    def _state_changed(self, state: State) -> None:
        if state == "connected":
            self._gate.set()
        else:
            self._gate.clear()

    async def _cancel(self, body: bytes) -> bytes:
        """Answer ``svc.<name>.cancel``: ``{"task_id": …}`` ends the block of that task."""
        try:
            task_id = msgspec.json.decode(body, type=_Cancel).task_id
        except msgspec.MsgspecError as error:
            return _refused(f'a task is cancelled with {{"task_id": …}}: {error}')
        task = self._tasks.get(task_id)
        if task is not None and task.cancel():
            return _OK
        await asyncio.sleep(_ANOTHER_S)
        return _refused(f"agent {self.name} does not work on a task {task_id[:80]!r}")

    def _metadata(self) -> dict[str, str]:
        return {"instance": self.instance, "serves": " ".join(sorted(self.serves)), "pid": str(os.getpid())}

    def _describe(self) -> dict[str, Any]:
        from daena_mesh import __version__  # it stands where everything is imported from

        return {
            "agent_id": self.name,
            "instance": self.instance,
            "started_at": self._started_at,
            "serves": sorted(self.serves),
            "answering": sorted(self.answering),
            "tasks": list(self._tasks)[:_MOST_TASKS],
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": __version__,
        }


def _refused(reason: str) -> bytes:
    return msgspec.json.encode({"ok": False, "error": reason})
