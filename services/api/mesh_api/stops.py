"""`POST …/sessions/{id}/stop`: whoever writes a message piece by piece shall stop."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta

from daena_mesh.subjects import check_id
from mesh_api import access
from mesh_api.bodies import answer, read
from mesh_api.callers import caller_of
from mesh_api.context import context_of
from mesh_api.guarded_route import GuardedRoute
from mesh_api.idempotency import ids_of
from mesh_api.openapi import answers, takes
from mesh_api.problems import NOBODY_WRITES, Problem

router = APIRouter(prefix="/api/v1/chat-history/sessions", tags=["sessions"], route_class=GuardedRoute)


class StopBody(msgspec.Struct, frozen=True, kw_only=True):
    """Who shall stop."""

    message_id: Annotated[str | None, Meta(description="The message that is being written; else all of them.")] = None


class StopAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever writes is told to stop."""

    success: Literal[True] = True
    session_id: str
    cursor: str


@router.post("/{session_id}/stop", openapi_extra=takes(StopBody), responses=answers(StopAnswer))
async def stop(request: Request, session_id: str) -> Response:
    """Have those stop who write a message piece by piece, or the one who writes `message_id`.

    What they wrote by then is stored and marked as incomplete. 409 where nobody writes.
    """
    context, ids = context_of(request), ids_of(request)
    subject = f"chat.{check_id(session_id, 'session_id')}.stop"
    await access.check_write(context, caller_of(request), session_id, subject)
    body = await read(request, StopBody) if await request.body() else StopBody()
    streams = await context.unfinished.of(session_id)
    if not any(body.message_id in {None, stream.message_id} for stream in streams):
        await context.sessions.read(session_id)
        what = "a message" if body.message_id is None else f"the message {body.message_id[:80]!r}"
        raise Problem(NOBODY_WRITES, f"Nobody is writing {what} in session {session_id!r} at the moment.")
    payload: dict[str, Any] = {"session_id": session_id}
    if body.message_id is not None:
        payload["message_id"] = body.message_id
    ack = await context.writer.store(context.writer.draft("chat.stop", session_id, payload, ids.make("stop")))
    return answer(StopAnswer(session_id=session_id, cursor=ack.cursor))
