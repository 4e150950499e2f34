"""An agent on the mesh: there while its block runs, and everybody sees what it does."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

from daena_mesh.answering import Answering, Handler
from daena_mesh.asks import Target
from daena_mesh.chat import Chat
from daena_mesh.heartbeat import Heartbeat
from daena_mesh.ids import now
from daena_mesh.micro import Endpoint, Service
from daena_mesh.subjects import check_id, check_name
from daena_mesh.task import Task, describe
from daena_mesh.voice import Line, Voice
from daena_mesh.worklist import Worklist

if TYPE_CHECKING:
    from daena_mesh.mesh import Mesh

ACTIVITIES_PER_S = 20.0
_LEAVE_S = 2.0
_GOODBYE_S = 0.5
_MOST_TASKS = 500
_log = logging.getLogger(__name__)
T = TypeVar("T")


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
        self.work = Worklist(self.name, self.announce)
        """The tasks that it works on."""
        self.voice = Voice(mesh)
        self._activity = self.voice.line(f"agent.{self.name}.activity", per_s=activities_per_s)
        self.voice.keep(self._activity)
        self._leaving: list[Callable[[], Awaitable[None]]] = []
        self._authored = False
        self.ask_endpoint = Endpoint("ask", f"ask.agent.{self.name}.*", metadata={"queue": "ASKS"})
        """The figures of the questions that it answered."""
        self.answers = Answering(
            mesh,
            name=self.name,
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
            endpoints=[self.ask_endpoint, Endpoint("cancel", f"svc.{self.name}.cancel", handle=self.work.cancel)],
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
            doubted=self.work.tell_again,
        )

    # -- what it does -------------------------------------------------------------------------------------------

    async def activity(self, state: str | dict[str, Any], **detail: Any) -> None:
        """Tell what the agent does now: ``activity("searching", query="nats")``, or a JSON object.

        Never waits for NATS. Of a burst the first goes at once, the last always, and 20 a second at most. Raises
        `InvalidEvent` for what is no JSON.
        """
        self.check_is_here()
        activity = {"state": state, **detail} if isinstance(state, str) else {**state, **detail}
        goes_now = self._activity.tell({"agent_id": self.name, "activity": activity})
        await self.voice.breathe(goes_now=goes_now)

    @property
    def coalesced(self) -> int:
        """How many activities were never sent, because a newer one took their place."""
        return self._activity.coalesced

    @property
    def is_busy(self) -> bool:
        """Whether it answers a question or works on a task."""
        return bool(self.answering or self.work)

    def task(self, task_id: str, total: float | None = None, title: str | None = None) -> Task:
        """A task for ``async with``; ``total`` is how much there is to do. Raises `InvalidId` and `ValueError`."""
        return Task(self, task_id, total=total, title=title)

    def track(
        self,
        items: Iterable[T] | AsyncIterable[T],
        task_id: str | None = None,
        *,
        total: float | None = None,
        title: str | None = None,
    ) -> AsyncIterator[T]:
        """Go through ``items`` in a loop that is a task of this agent; see `daena_mesh.track`."""
        from daena_mesh.tracking import track  # it knows agents

        return track(items, self, task_id, total=total, title=title)

    def chat(self, session_id: str) -> Chat:
        """The chat of a session, in which this agent speaks; raises `InvalidId`."""
        return self.mesh.chat(session_id, author=self.name)

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
        self.voice.open()
        self._service.start()
        try:
            if not await self._heartbeat.start(self.mesh.wait_s):
                _log.warning("agent %s is not announced yet: %s", self.name, self._heartbeat.trouble or "no answer")
        except BaseException:
            await self._leave(None)
            raise
        self.answers.start()
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
            clock = asyncio.get_running_loop().time
            leave_at = clock() + _LEAVE_S
            await self.work.close(_LEAVE_S)
            await self.voice.finish(max(_GOODBYE_S, leave_at - clock()))
            self._life = "gone"
            self._service.stop()
            await self._heartbeat.close(reason, max(_GOODBYE_S, leave_at - clock()))
        finally:
            self._life = "gone"
            self._service.stop()
            self._heartbeat.stop()
            self.voice.close()
            if self._authored:
                self.mesh.author = None

    def on_leave(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Await ``callback`` when the agent leaves, before it tells so; the newest first."""
        self._leaving.append(callback)

    def announce(self) -> None:
        """What it serves, answers or works on changed: beat soon, and tell the status if that changed too."""
        self._heartbeat.soon()

    # -- for its tasks ------------------------------------------------------------------------------------------

    def begin(self, task: Task, line: Line) -> None:
        """A task begins, and tells of itself on ``line``; raises `Conflict` for an id that is being worked on."""
        self.check_is_here()
        self.work.begin(task)
        self.voice.keep(line)

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
            "tasks": [task.id for task in self.work][:_MOST_TASKS],
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": __version__,
        }
