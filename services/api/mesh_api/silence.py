"""Notices agents that fell silent, and tells: their tasks failed, and they are offline.

Every API has one. Whoever writes expects the last event on the subject to be the one that is outdated now, so each
silence is told once, however many APIs there are and whichever of them die in between. Tasks come first: an API that
dies between the two leaves an agent that is still taken for alive, and another one begins again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from daena_mesh import codec
from daena_mesh.errors import Conflict, InvalidEvent
from daena_mesh.feed import event_of
from daena_mesh.heartbeat import TTL_S
from daena_mesh.ids import dedup_id, derived_id, now
from daena_mesh.layout import SIGNALS
from daena_mesh.mesh import Mesh
from daena_mesh.presence import Watch
from daena_mesh.rounds import make_rounds
from daena_mesh.subjects import event_type_of
from mesh_api.agent_states import OFFLINE, SILENT, AgentState
from mesh_api.serving import Serving
from mesh_api.state_keeper import StateKeeper
from mesh_api.task_states import TaskState

SILENT_AFTER_S = float(TTL_S)
"""For how long a heartbeat may stand still; agents renew theirs three times in it, and it expires after it."""

GONE = "the agent is gone"
"""Why the tasks of an agent failed that is no more."""

_PAUSE_S = 2.0
_ASLEEP_S = 3 * _PAUSE_S
_AT_ONCE = 8
_log = logging.getLogger(__name__)


class Silence:
    """Looks at the heartbeats every two seconds."""

    def __init__(self, mesh: Mesh, keeper: StateKeeper, serving: Serving, *, after_s: float = SILENT_AFTER_S) -> None:
        """Hears through ``keeper``, and tells through ``mesh``; ``serving`` hears all processes of one name."""
        self.told = 0
        """How many agents this API found silent, and was first to tell."""
        self._mesh = mesh
        self._keeper = keeper
        self._serving = serving
        self._agents = Watch(after_s)
        self._tasks = Watch(after_s)
        self._worked: set[tuple[str, str]] = set()
        """Agents and their open tasks that were heard to be at work."""
        self._looked = 0.0

    async def run(self) -> None:
        """For ever."""
        await make_rounds(
            self.look,
            every_s=_PAUSE_S,
            connection=self._mesh.connection,
            blind=self._blind,
            doing="listening for agents",
            log=_log,
        )

    def _blind(self) -> None:
        self._agents.blind()
        self._tasks.blind()

    async def look(self) -> None:
        """Look once at all heartbeats, and tell of those that stood still for long enough."""
        loop = asyncio.get_running_loop()
        if not self._keeper.is_current:
            self._blind()
            return
        if loop.time() - self._looked > _ASLEEP_S:  # it was this process that slept, and others perhaps with it
            self._blind()
        await self._keeper.hear()
        at = self._looked = loop.time()
        state = self._keeper.state
        await _some_at_once(self._miss_agent, self._agents.dead(state.agents.owing(), at))
        await _some_at_once(self._miss_task, self._tasks.dead(self._orphans(), at))

    def _orphans(self) -> dict[str, int]:
        """The open tasks at which nobody is any more: by the log, or since who was at them is no longer heard."""
        state, working = self._keeper.state, self._serving.beats.working
        found = state.tasks.orphans(state.agents)
        open_tasks = {(task.agent_id or "", task.task_id): task.seq for task in state.tasks.open}
        self._worked = (self._worked | working) & open_tasks.keys()
        left = {task_id: open_tasks[agent_id, task_id] for agent_id, task_id in self._worked - working}
        at_work = {task_id for _, task_id in working}
        return {task_id: seq for task_id, seq in {**found, **left}.items() if task_id not in at_work}

    async def _miss_agent(self, agent_id: str) -> None:
        agent = self._keeper.state.agents.get(agent_id)
        if agent is not None and await self._is_silent(agent):
            await self._tell(agent)

    async def _miss_task(self, task_id: str) -> None:
        task = self._keeper.state.tasks.get(task_id)
        if task is not None:
            await self._fail(task)

    async def _is_silent(self, agent: AgentState) -> bool:
        """Whether the leader knows no newer heartbeat either; replicas may be cut off from it."""
        beat = await self._keeper.last_beat(agent.agent_id)
        if beat is None or (agent.beat is not None and beat.seq == agent.beat.seq):
            return True
        await self._keeper.hear(again=beat.seq < (agent.beat.seq if agent.beat is not None else 0))
        return False

    async def _tell(self, agent: AgentState) -> None:
        agent_id, log = agent.agent_id, self._mesh.log
        for task in self._keeper.state.tasks.open_by_agent().get(agent_id, ()):
            await self._fail(task)
        subject = f"agent.{agent_id}.status"
        last = await log.last(SIGNALS, subject)
        if last is not None:
            event = event_of(last, "", self._mesh.settings.max_body_bytes)
            if event is not None and event.payload.get("status") == OFFLINE:
                return  # somebody else was first
        instance = agent.latest.instance if agent.latest is not None else None
        payload = {"agent_id": agent_id, "status": OFFLINE, "instance": instance, "reason": SILENT}
        expected = last.seq if last is not None else 0  # it may have expired
        event_id = derived_id("silence", agent_id, instance or "", str(expected))
        if await self._write(subject, payload, event_id, subject, expected):
            self.told += 1
            _log.info("agent %s is silent", agent_id)

    async def _fail(self, task: TaskState) -> None:
        """Tell that a task failed, unless anything newer was told of it."""
        pattern = f"task.{task.task_id}.>"
        last = await self._mesh.log.last(SIGNALS, pattern)
        if last is not None and last.seq != task.seq:
            return
        payload = {
            "task_id": task.task_id,
            "agent_id": task.agent_id,
            "title": task.title,
            "status": "failed",
            "progress": msgspec.Raw(task.progress),
            "reason": GONE,
        }
        expected = last.seq if last is not None else 0
        event_id = derived_id("task of a silent agent", task.task_id, str(task.seq))
        await self._write(task.subject, payload, event_id, pattern, expected)

    async def _write(self, subject: str, payload: dict[str, Any], event_id: str, pattern: str, expected: int) -> bool:
        """Store an event if the last one on ``pattern`` is the expected one; whether this was the first attempt to."""
        try:
            body = codec.encode(
                event_type_of(subject), payload, event_id=event_id, timestamp=now(), source=self._mesh.source
            )
            ack = await self._mesh.log.append(
                subject,
                body,
                event_id=event_id,
                msg_id=dedup_id(subject, event_id),
                expect_last=(pattern, expected),
            )
        except Conflict:
            return False  # it lives, or another API was first
        except InvalidEvent as error:
            _log.warning("%s: %s", subject, error)
            return False
        return not ack.duplicate


async def _some_at_once(miss: Callable[[str], Awaitable[None]], ids: Sequence[str]) -> None:
    for begin in range(0, len(ids), _AT_ONCE):
        await asyncio.gather(*map(miss, ids[begin : begin + _AT_ONCE]))
