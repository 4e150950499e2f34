"""`GET /agents` and what belongs to one agent: how it is, and what it did."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response

from daena_mesh import replay
from daena_mesh.feed import event_of
from daena_mesh.layout import SIGNALS
from daena_mesh.subjects import check_id
from mesh_api.agent_states import AgentState
from mesh_api.bodies import answer
from mesh_api.callers import Caller, caller_of
from mesh_api.context import Context, context_of
from mesh_api.cursors import seq_of
from mesh_api.guarded_route import GuardedRoute
from mesh_api.openapi import answers
from mesh_api.problems import UNKNOWN_AGENT, Problem
from mesh_api.task_states import TaskState

router = APIRouter(prefix="/api/v1/agents", tags=["state"], route_class=GuardedRoute)

_MOST_TASKS = 100
_PATTERNS = ("agent.{}.activity", "agent.{}.activity.*")

Limit = Annotated[int, Query(ge=1, le=1_000)]
Status = Annotated[str | None, Query(max_length=64, description="Only those with this status.")]


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """How an agent is.

    ``status`` is ``online``, ``busy`` or ``offline``, by its last word or its heartbeat, whichever is newer; null where
    it never told. ``tasks`` are those it works on, 100 at most. ``activity`` is what it said last that it does; of one
    that is long only the beginning, as a text.
    """

    agent_id: str
    status: str | None
    reason: str | None
    """``silent`` where others found that it is gone."""
    instance: str | None
    serves: tuple[str, ...]
    activity: msgspec.Raw
    tasks: list[str]
    last_seen: str | None
    """When it gave a sign of itself."""
    cursor: str | None
    """Of its newest event: what is behind that is not in here."""


class Agents(msgspec.Struct, frozen=True, kw_only=True):
    """Agents: those that are there, by their names, then the others, as they were seen last."""

    agents: list[Agent]


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent did."""

    cursor: str
    activity: Any
    payload: dict[str, Any]
    id: str
    timestamp: str


class Activities(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent did, newest first; ``next`` is the ``before`` of the page after this one."""

    agent_id: str
    activities: list[Activity]
    next: str | None


@router.get("", responses=answers(Agents))
async def list_agents(request: Request, *, status: Status = None, limit: Limit = 200) -> Response:
    """Read how all agents are."""
    context, caller = context_of(request), caller_of(request)
    state = await context.state.known()
    tasks = state.tasks.open_by_agent()
    found = [
        _agent(context, agent, _seen(caller, tasks.get(agent.agent_id, ())))
        for agent in state.agents.newest(limit=limit, status=status, only=caller.seen("agent"))
    ]
    return answer(Agents(agents=found))


@router.get("/{agent_id}", responses=answers(Agent))
async def get_agent(request: Request, agent_id: str) -> Response:
    """Read how an agent is."""
    context, caller = context_of(request), caller_of(request)
    caller.check_read(f"agent.{check_id(agent_id, 'agent_id')}.>")
    agent = await _find(context, agent_id)
    tasks = context.state.state.tasks.open_by_agent().get(agent_id, ())
    return answer(_agent(context, agent, _seen(caller, tasks)))


@router.get("/{agent_id}/activity", responses=answers(Activities))
async def list_activity(
    request: Request,
    agent_id: str,
    *,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[str | None, Query(description="`next` of the page before: older ones.")] = None,
) -> Response:
    """Read what an agent did, from the log, newest first."""
    context, caller = context_of(request), caller_of(request)
    caller.check_read(f"agent.{check_id(agent_id, 'agent_id')}.activity")
    await _find(context, agent_id)
    log, end = context.mesh.log, None if before is None else seq_of(context, SIGNALS, before, "before")
    patterns = [pattern.format(agent_id) for pattern in _PATTERNS]
    patterns = [pattern for pattern in patterns if caller.rights.may_read((pattern,))]
    messages = await replay.newest(log, SIGNALS, patterns, limit + 1, before=end)
    page = messages[-limit:]
    events = [event_of(m, log.cursor(SIGNALS, m.seq), log.settings.max_body_bytes) for m in reversed(page)]
    found = [
        Activity(
            cursor=event.cursor,
            activity=event.payload.get("activity"),
            payload=event.payload,
            id=event.id,
            timestamp=event.timestamp,
        )
        for event in events
        if event is not None
    ]
    following = log.cursor(SIGNALS, page[0].seq) if len(messages) > limit else None
    return answer(Activities(agent_id=agent_id, activities=found, next=following))


async def _find(context: Context, agent_id: str) -> AgentState:
    check_id(agent_id, "agent_id")
    if (agent := (await context.state.known()).agents.get(agent_id)) is None:
        raise Problem(UNKNOWN_AGENT, f"Nothing was heard of an agent {agent_id!r}.")
    return agent


def _seen(caller: Caller, tasks: Iterable[TaskState]) -> list[str]:
    return [task.task_id for task in tasks if caller.may_see(task.task_id, "task")]


def _agent(context: Context, agent: AgentState, tasks: list[str]) -> Agent:
    latest = agent.latest
    return Agent(
        agent_id=agent.agent_id,
        status=agent.status,
        reason=agent.told.reason if agent.told is not None and latest is agent.told else None,
        instance=latest.instance if latest is not None else None,
        serves=latest.serves if latest is not None else (),
        activity=msgspec.Raw(agent.activity or b"null"),
        tasks=tasks[-_MOST_TASKS:],
        last_seen=_to_the_millisecond(agent.last_seen) if agent.last_seen else None,
        cursor=context.mesh.log.cursor(SIGNALS, agent.seq) if agent.seq else None,
    )


def _to_the_millisecond(at: bytes) -> str:
    """A time as everywhere else; servers leave out zeros at its end."""
    seconds, _, fraction = at.decode().partition(".")
    return f"{seconds}.{fraction[:3]:0<3}Z"
