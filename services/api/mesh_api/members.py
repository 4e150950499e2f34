"""`POST …/sessions/{id}/members`: with whom a session is shared."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta

from daena_mesh.errors import Conflict
from daena_mesh.events import Session
from daena_mesh.membership import MOST_MEMBERS, User, shared
from daena_mesh.subjects import check_id
from mesh_api import access
from mesh_api.bodies import read
from mesh_api.callers import caller_of
from mesh_api.context import context_of
from mesh_api.guarded_route import GuardedRoute
from mesh_api.idempotency import ids_of
from mesh_api.openapi import answers, takes
from mesh_api.problems import KEY_REUSED, WRONG_BODY, Problem
from mesh_api.session_answers import SessionAnswer
from mesh_api.sessions import conflict_of, expected_seq, session_answer

router = APIRouter(prefix="/api/v1/chat-history/sessions", tags=["sessions"], route_class=GuardedRoute)

Users = Annotated[list[User], Meta(max_length=MOST_MEMBERS)]


class MemberChanges(msgspec.Struct, frozen=True, kw_only=True):
    """Who becomes a member, and who is none any more; users by the ``sub`` of their tokens."""

    add: Users = []
    remove: Users = []


@router.post(
    "/{session_id}/members", openapi_extra=takes(MemberChanges, guarded=True), responses=answers(SessionAnswer)
)
async def change_members(request: Request, session_id: str) -> Response:
    """Share a session with others, or no longer. Its owner may, and who may write `session.<id>.updated`."""
    context, caller, ids = context_of(request), caller_of(request), ids_of(request)
    subject = f"session.{check_id(session_id, 'session_id')}.updated"
    await access.check_write(context, caller, session_id, subject)
    body = await read(request, MemberChanges)
    if not body.add and not body.remove:
        raise Problem(WRONG_BODY, "Give users to add or to remove.")

    def check(session: Session) -> None:
        if shared(session, body.add, body.remove) != list(session.members):
            raise Problem(KEY_REUSED, "The first request with this key had other members.")

    event_id, allowed = ids.given("members changed"), access.sharing(caller, session_id)
    with access.hiding(caller, subject):
        expect = await expected_seq(context, session_id, request, event_id, allowed)
        try:
            ack = await context.sessions.share(
                session_id, add=body.add, remove=body.remove, expect=expect, event_id=event_id, allowed=allowed
            )
        except Conflict as error:
            raise conflict_of(error, expect) from None
        return await session_answer(context, session_id, ack.seq, check if ack.duplicate else None)
