"""What is known of tasks: the last update of each. Pure: no clock, no I/O."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from daena_mesh.errors import InvalidId
from daena_mesh.events import Event
from daena_mesh.subjects import Subject, check_id
from mesh_api import bounded
from mesh_api.agent_states import OFFLINE, AgentState, AgentStates

MOST_OPEN = 5_000
MOST_FINISHED = 5_000
"""How many tasks are known at a time; of more those with the oldest updates are forgotten. The log still has them."""

FINISHED = frozenset({"completed", "failed", "cancelled"})
_MOST_CHARS = 64
_MOST_TITLE = 200
_MOST_REASON = 500


class TaskState(msgspec.Struct, frozen=True):
    """The last update of a task."""

    task_id: str
    agent_id: str | None
    title: str | None
    status: str
    progress: bytes
    """As JSON."""
    reason: str | None
    subject: str
    seq: int
    timestamp: str
    """When it was told, by the clock of who told it."""

    @property
    def is_open(self) -> bool:
        """Whether somebody is at it, or will be."""
        return self.status not in FINISHED


def task_of(event: Event, seq: int) -> TaskState:
    """What an update says. The author of a subject counts more than the agent that a payload names."""
    subject, payload = Subject.parse(event.subject), event.payload
    return TaskState(
        subject.id,
        subject.author or _agent_id(payload),
        bounded.text(payload.get("title"), _MOST_TITLE),
        bounded.text(payload.get("status"), _MOST_CHARS) or "unknown",
        bounded.raw(payload.get("progress")),
        bounded.text(payload.get("reason"), _MOST_REASON),
        event.subject,
        seq,
        bounded.text(event.timestamp, _MOST_CHARS) or "",
    )


def _agent_id(payload: dict[str, Any]) -> str | None:
    try:
        return check_id(payload.get("agent_id"))
    except InvalidId:
        return None


class TaskStates:
    """All tasks, bounded."""

    def __init__(self, most_open: int = MOST_OPEN, most_finished: int = MOST_FINISHED) -> None:
        self._open: dict[str, TaskState] = {}
        self._finished: dict[str, TaskState] = {}
        """Both by the order of their last updates."""
        self._most_open = most_open
        self._most_finished = most_finished

    def __len__(self) -> int:
        return len(self._open) + len(self._finished)

    @property
    def open(self) -> Iterator[TaskState]:
        """The tasks that are not finished."""
        return iter(tuple(self._open.values()))

    def get(self, task_id: str) -> TaskState | None:
        """What is known of a task."""
        return self._open.get(task_id) or self._finished.get(task_id)

    def update(self, task: TaskState) -> None:
        """Take in an update; the highest sequence counts."""
        known = self.get(task.task_id)
        if known is not None and task.seq <= known.seq:
            return
        self._open.pop(task.task_id, None)
        self._finished.pop(task.task_id, None)
        held, most = (self._open, self._most_open) if task.is_open else (self._finished, self._most_finished)
        held[task.task_id] = task
        if len(held) > most:
            del held[next(iter(held))]

    def newest(
        self,
        *,
        limit: int,
        status: str | None = None,
        agent_id: str | None = None,
        only: frozenset[str] | None = None,
    ) -> list[TaskState]:
        """At most ``limit`` tasks, of these ids if ``only`` names any, by their last updates, newest first."""
        found = (
            task
            for task in (*self._open.values(), *self._finished.values())
            if (status is None or task.status == status) and (agent_id is None or task.agent_id == agent_id)
            if only is None or task.task_id in only
        )
        return heapq.nlargest(limit, found, key=lambda task: task.seq)

    def open_by_agent(self) -> dict[str, list[TaskState]]:
        """The open tasks of each agent, oldest first."""
        found: dict[str, list[TaskState]] = {}
        for task in self._open.values():
            if task.agent_id is not None:
                found.setdefault(task.agent_id, []).append(task)
        return found

    def orphans(self, agents: AgentStates) -> dict[str, int]:
        """The open tasks at which nobody is any more, and the sequences of their last updates."""
        return {
            task.task_id: task.seq
            for agent_id, tasks in self.open_by_agent().items()
            if (agent := agents.get(agent_id)) is not None
            for task in tasks
            if _is_orphan(task, agent)
        }


def _is_orphan(task: TaskState, agent: AgentState) -> bool:
    """Whether an agent left without a word on this task, or began anew since and does not know it."""
    told, beat = agent.told, agent.beat
    if told is not None and told.status == OFFLINE and agent.status == OFFLINE:
        return task.seq < told.seq
    if agent.status == OFFLINE or beat is None or beat.tasks is None or task.task_id in beat.tasks:
        return False
    told_at, started_at = _time(task.timestamp), _time(beat.started_at)
    return told_at is not None and started_at is not None and told_at < started_at


def _time(text: str | None) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except ValueError:
        return None
