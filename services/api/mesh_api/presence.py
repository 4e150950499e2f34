"""`GET /presence/{topic}`: who is on a topic."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request, Response

from daena_mesh.presence import since_of, union
from daena_mesh.subjects import check_id, check_scope
from mesh_api import access
from mesh_api.bodies import answer
from mesh_api.callers import caller_of
from mesh_api.context import context_of
from mesh_api.guarded_route import GuardedRoute
from mesh_api.openapi import answers

router = APIRouter(prefix="/api/v1", tags=["state"], route_class=GuardedRoute)


class Present(msgspec.Struct, frozen=True, kw_only=True):
    """A user on a topic."""

    who: str
    since: str | None
    """RFC 3339, UTC."""


class WhoIsThere(msgspec.Struct, frozen=True, kw_only=True):
    """The users on a topic of all edges, by when they came."""

    topic: str
    count: int
    users: list[Present]


@router.get("/presence/{topic}", responses=answers(WhoIsThere))
async def presence(request: Request, topic: str) -> Response:
    """Read who is on a topic, such as ``chat_<session>``."""
    caller = caller_of(request)
    context = context_of(request)
    if not caller.rights.may_read((f"presence.{check_scope(topic, 'topic')}.>",)):
        kind, _, session_id = topic.partition("_")
        if kind == "chat":
            await access.check_read(context, caller, check_id(session_id, "session_id"))
        else:
            caller.check_read(*_carried(topic))
    rosters, _ = await context.rosters.read(topic)
    users = sorted(union(rosters.values()).items(), key=lambda user: (user[1], user[0]))
    present = [Present(who=who, since=since_of(life)) for who, life in users]
    return answer(WhoIsThere(topic=topic, count=len(present), users=present))


def _carried(topic: str) -> tuple[str, ...]:
    """What a topic carries: whoever may follow it is shown who is on it."""
    kind, _, ident = topic.partition("_")
    if kind == "agent":
        return f"agent.{ident}.>", f"task.*.update.{ident}"
    return (f"presence.{topic}.>",)
