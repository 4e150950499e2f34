"""`GET /tasks`, one task, and how to cancel it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response

from daena_mesh.errors import MeshUnavailable
from daena_mesh.feed import event_of
from daena_mesh.layout import SIGNALS
from daena_mesh.stored import status_of
from daena_mesh.subjects import check_id
from mesh_api.bodies import answer
from mesh_api.callers import caller_of
from mesh_api.context import Context, context_of
from mesh_api.guarded_route import GuardedRoute
from mesh_api.idempotency import ids_of
from mesh_api.openapi import answers, takes
from mesh_api.problems import AGENT_AWAY, AGENT_SILENT, NOT_CANCELLED, UNKNOWN_TASK, Problem
from mesh_api.task_states import TaskState, task_of

router = APIRouter(prefix="/api/v1/tasks", tags=["state"], route_class=GuardedRoute)

_ANSWER_S = 2.0
_MOST_WORDS = 300
_NO_RESPONDERS = 503

Limit = Annotated[int, Query(ge=1, le=1_000)]
Status = Annotated[str | None, Query(max_length=64, description="Only those with this status.")]
AgentId = Annotated[str | None, Query(max_length=64, description="Only those of this agent.")]


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """How far a task has come: its last update.

    ``status`` is ``running``, ``completed``, ``failed`` or ``cancelled``, or what else was told. ``progress`` is as it
    was told, with ``done``, ``total``, ``rate`` (a second), ``eta_s`` and ``note``; of one that is long only the
    beginning, as a text.
    """

    task_id: str
    agent_id: str | None
    title: str | None
    status: str
    progress: msgspec.Raw
    reason: str | None
    timestamp: str
    cursor: str


class Tasks(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks, by their last updates, newest first. Very old ones are not listed."""

    tasks: list[Task]


class Cancelled(msgspec.Struct, frozen=True, kw_only=True):
    """The agent cancels the task; ``task.update`` tells when it has."""

    success: Literal[True] = True
    task_id: str
    agent_id: str | None


class _Answer(msgspec.Struct):
    ok: bool = False
    error: str = ""


@router.get("", responses=answers(Tasks))
async def list_tasks(
    request: Request, *, status: Status = None, agent_id: AgentId = None, limit: Limit = 50
) -> Response:
    """Read how far tasks have come."""
    context = context_of(request)
    if agent_id is not None:
        check_id(agent_id, "agent_id")
    found = (await context.state.known()).tasks.newest(
        limit=limit, status=status, agent_id=agent_id, only=caller_of(request).seen("task")
    )
    return answer(Tasks(tasks=[_task(context, task) for task in found]))


@router.get("/{task_id}", responses=answers(Task))
async def get_task(request: Request, task_id: str) -> Response:
    """Read how far a task has come."""
    context = context_of(request)
    caller_of(request).check_read(f"task.{check_id(task_id, 'task_id')}.>")
    return answer(_task(context, await _find(context, task_id)))


@router.post("/{task_id}/cancel", openapi_extra=takes(None), responses=answers(Cancelled))
async def cancel_task(request: Request, task_id: str) -> Response:
    """Have the agent that is at a task cancel it."""
    context, ids = context_of(request), ids_of(request)
    caller_of(request).check_write(f"task.{check_id(task_id, 'task_id')}.cancel")
    task = await _find(context, task_id)
    if task.status == "cancelled" and ids.base is not None:  # a retry, and its first attempt came through
        return answer(Cancelled(task_id=task_id, agent_id=task.agent_id))
    if not task.is_open:
        raise Problem(NOT_CANCELLED, f"Task {task_id!r} is {task.status}.")
    if task.agent_id is None:
        raise Problem(NOT_CANCELLED, f"Task {task_id!r} does not tell which agent is at it.")
    await _ask(context, task.agent_id, task_id)
    return answer(Cancelled(task_id=task_id, agent_id=task.agent_id))


async def _ask(context: Context, agent_id: str, task_id: str) -> None:
    connection = context.mesh.connection
    await connection.wait_ready(context.settings.api_wait_s)
    subject, body = f"svc.{check_id(agent_id, 'agent_id')}.cancel", msgspec.json.encode({"task_id": task_id})
    try:
        reply = await connection.request(subject, body, timeout_s=_ANSWER_S)
    except MeshUnavailable:
        if connection.is_connected:
            raise Problem(AGENT_SILENT, f"Agent {agent_id!r} did not answer within {_ANSWER_S:g} s.") from None
        raise
    if status_of(reply.headers) == _NO_RESPONDERS:
        raise Problem(AGENT_AWAY, f"Agent {agent_id!r} is not there.", {"Retry-After": "5"})
    try:
        said = msgspec.json.decode(reply.body, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = _Answer(error="its answer cannot be read")
    if not said.ok:
        raise Problem(NOT_CANCELLED, f"Agent {agent_id!r}: {said.error[:_MOST_WORDS] or 'no reason given'}")


async def _find(context: Context, task_id: str) -> TaskState:
    """A task that is known, or that the log knows: one that began just now, or was forgotten here."""
    check_id(task_id, "task_id")
    if (task := (await context.state.known()).tasks.get(task_id)) is not None:
        return task
    log = context.mesh.log
    subject = f"task.{task_id}.update"
    found = await asyncio.gather(*(log.last(SIGNALS, pattern) for pattern in (subject, f"{subject}.*")))
    last = max((message for message in found if message is not None), key=lambda message: message.seq, default=None)
    if last is not None:
        event = event_of(last, log.cursor(SIGNALS, last.seq), log.settings.max_body_bytes)
        if event is not None:
            return task_of(event, last.seq)
    raise Problem(UNKNOWN_TASK, f"There is no task {task_id!r}, or none that the log still has.")


def _task(context: Context, task: TaskState) -> Task:
    return Task(
        task_id=task.task_id,
        agent_id=task.agent_id,
        title=task.title,
        status=task.status,
        progress=msgspec.Raw(task.progress),
        reason=task.reason,
        timestamp=task.timestamp,
        cursor=context.mesh.log.cursor(SIGNALS, task.seq),
    )
