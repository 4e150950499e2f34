"""`POST /events`: emit any event that is not a service's own to write."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from fastapi import APIRouter, Request, Response

from daena_mesh.errors import DeletedSession, InvalidEvent
from daena_mesh.events import PAYLOADS
from daena_mesh.subjects import subject_for
from mesh_api import access
from mesh_api.bodies import NewEvent, answer, read
from mesh_api.callers import caller_of
from mesh_api.context import context_of
from mesh_api.guarded_route import GuardedRoute
from mesh_api.idempotency import check_same, ids_of
from mesh_api.openapi import answers, takes
from mesh_api.problems import NOT_ALLOWED, Problem

router = APIRouter(prefix="/api/v1", tags=["events"], route_class=GuardedRoute)

_OWN = {
    "session": "The calls under /api/v1/chat-history/sessions write the events of sessions.",
    "presence": "The edges write who is present.",
}


class EventAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An event is stored."""

    success: Literal[True] = True
    id: str
    cursor: str


@router.post("/events", openapi_extra=takes(NewEvent), responses=answers(EventAnswer))
async def emit_event(request: Request) -> Response:
    """Emit an event of any type that a stream takes."""
    context, body, ids = context_of(request), await read(request, NewEvent), ids_of(request)
    domain = body.event_type.partition(".")[0]
    if (why := _OWN.get(domain)) is not None:
        raise Problem(NOT_ALLOWED, why)
    event_id = ids.make("event")
    caller = caller_of(request)
    subject = subject_for(body.event_type, body.id)
    if domain == "chat":
        await access.check_write(context, caller, body.id, subject)
    else:
        caller.check_write(subject)
    draft = context.writer.draft(body.event_type, body.id, completed(body, event_id, caller.user), event_id)
    if domain == "chat" and context.projector.projection.is_deleted(body.id):
        raise DeletedSession(f"session {body.id!r} was deleted")
    ack = await context.writer.store(draft)
    if ack.duplicate and ids.base is not None:
        stored = await context.writer.stored(draft.stream, ack.seq)
        if stored is not None:
            check_same(stored.payload, draft.payload)
    return answer(EventAnswer(id=event_id, cursor=ack.cursor))


def completed(event: NewEvent, event_id: str, user: str | None = None) -> dict[str, Any]:
    """The payload with the keys that follow from the rest; raises `InvalidEvent` where it contradicts its subject.

    Whoever authenticates as ``user`` is the sender.
    """
    payload = dict(event.payload)
    if (typed := PAYLOADS.get(event.event_type)) is not None:
        if payload.setdefault(typed.id_field, event.id) != event.id:
            raise InvalidEvent(f"{typed.id_field} in the payload is not the id {event.id!r}")
        if event.event_type == "chat.message":
            payload.setdefault("message_id", event_id)
    if user is not None and (event.event_type.startswith("chat.") or "sender" in payload):
        payload["sender"] = user
    return payload
