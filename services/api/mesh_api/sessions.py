"""Sessions: begin, change, read, list, end, and what is said in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response

from daena_mesh.errors import Conflict, DeletedSession, MeshUnavailable
from daena_mesh.events import Event, Session
from daena_mesh.layout import RECORDS
from daena_mesh.sessions import Allowed
from daena_mesh.subjects import check_id
from mesh_api import access
from mesh_api.bodies import NewMessage, NewSession, SessionChanges, answer, read
from mesh_api.callers import caller_of
from mesh_api.chat import say
from mesh_api.context import Context, context_of
from mesh_api.cursors import before as begin_before
from mesh_api.cursors import positions_of, seq_of
from mesh_api.guarded_route import GuardedRoute
from mesh_api.idempotency import check_same, ids_of
from mesh_api.openapi import answers, takes
from mesh_api.preconditions import etag, expected, only_seq
from mesh_api.problems import CHANGED, WRONG_BODY, Problem
from mesh_api.projection import Row
from mesh_api.session_answers import (
    DeletedAnswer,
    MessageAnswer,
    SessionAnswer,
    SessionList,
    SessionWithMessages,
    StoredMessage,
)
from mesh_api.writing import message_payload

router = APIRouter(prefix="/api/v1/chat-history/sessions", tags=["sessions"], route_class=GuardedRoute)

_DOMAINS = ("chat", "session")
"""What a session is made of."""

Limit = Annotated[int, Query(ge=1, le=200)]
Filter = Annotated[str | None, Query(max_length=128)]


@router.post("", openapi_extra=takes(NewSession), responses=answers(SessionAnswer))
async def create_session(request: Request) -> Response:
    """Begin a session."""
    context, body, ids = context_of(request), await read(request, NewSession), ids_of(request)
    session_id, caller = ids.make("session"), caller_of(request)
    caller.check_write(f"session.{session_id}.created")
    fields = msgspec.structs.asdict(body)
    ack = await context.sessions.create(
        session_id, **fields, created_by=caller.user, event_id=ids.given("session created")
    )
    return await session_answer(context, session_id, ack.seq, same_as(fields) if ack.duplicate and ids.base else None)


@router.put("/{session_id}", openapi_extra=takes(SessionChanges, guarded=True), responses=answers(SessionAnswer))
async def update_session(request: Request, session_id: str) -> Response:
    """Change a session: the fields that are given. With `If-Match` only if nobody else did meanwhile."""
    context, ids = context_of(request), ids_of(request)
    caller, subject = caller_of(request), f"session.{check_id(session_id, 'session_id')}.updated"
    await access.check_write(context, caller, session_id, subject)
    updates = msgspec.to_builtins(await read(request, SessionChanges))
    if not updates:
        raise Problem(WRONG_BODY, f"Give at least one of {', '.join(SessionChanges.__struct_fields__)}.")
    event_id, allowed = ids.given("session updated"), access.writing(caller, session_id, subject)
    with access.hiding(caller, subject):
        expect = await expected_seq(context, session_id, request, event_id, allowed)
        try:
            ack = await context.sessions.update(session_id, updates, expect=expect, event_id=event_id, allowed=allowed)
        except Conflict as error:
            raise conflict_of(error, expect) from None
        return await session_answer(context, session_id, ack.seq, same_as(updates) if ack.duplicate else None)


@router.get("", responses=answers(SessionList))
async def list_sessions(
    request: Request,
    *,
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
    scope_type: Filter = None,
    scope_id: Filter = None,
    category: Filter = None,
) -> Response:
    """List sessions, newest first: by their last change or message, whichever is later."""
    context = context_of(request)
    if not context.projector.is_complete:
        raise MeshUnavailable("the list of sessions is not complete yet")
    before = None if cursor is None else seq_of(context, RECORDS, cursor, "cursor")
    caller, projection = caller_of(request), context.projector.projection
    only = caller.seen(*_DOMAINS)
    if only is not None:
        if not context.projector.is_current:  # somebody may be a member no longer
            raise MeshUnavailable("it is not known at the moment which sessions belong to whom")
        only |= projection.belonging_to(caller.user)
    rows, following = projection.newest(
        limit=limit,
        before=before,
        scope_type=scope_type,
        scope_id=scope_id,
        category=category,
        only=only,
    )
    after = None if following is None else context.mesh.log.cursor(RECORDS, following)
    return answer({"sessions": [_listed(context, row) for row in rows], "next": after})


@router.get("/{session_id}", responses=answers(SessionWithMessages))
async def get_session(
    request: Request,
    session_id: str,
    *,
    limit: Limit = 50,
    before: Annotated[str | None, Query(description="`next` of the page after: older messages.")] = None,
) -> Response:
    """Read a session with its newest messages, or those before a cursor; oldest first."""
    context = context_of(request)
    check_id(session_id, "session_id")
    await access.check_read(context, caller_of(request), session_id)
    if before is not None:
        seq_of(context, RECORDS, before, "before")
    state = await context.sessions.read(session_id)
    cursors = await positions_of(context.mesh)
    events = await context.mesh.chat(session_id).history(limit + 1, before=before)
    page = events[-limit:]
    unfinished = await context.unfinished.of(session_id, {str(event.payload.get("message_id")) for event in events})
    content = SessionWithMessages(
        session_id=session_id,
        session=state.session,
        messages=[_stored(event) for event in page],
        cursors=str(cursors),
        since=str(begin_before(cursors, unfinished)),
        next=page[0].cursor if len(events) > limit else None,
    )
    return answer(content, {"ETag": etag(state.seq)})


@router.post("/{session_id}/messages", openapi_extra=takes(NewMessage), responses=answers(MessageAnswer))
async def add_message(request: Request, session_id: str) -> Response:
    """Store something said in a session that exists."""
    context, ids = context_of(request), ids_of(request)
    caller = caller_of(request)
    subject = f"chat.{check_id(session_id, 'session_id')}.message"
    await access.check_write(context, caller, session_id, subject)
    body = await read(request, NewMessage)
    if (sender := caller.user or body.sender or body.role) is None:
        raise Problem(WRONG_BODY, "Give a sender, or a role.")
    message_id = ids.make("message")
    payload = message_payload(session_id, sender, body.content, message_id, body.metadata)
    message = context.writer.draft("chat.message", session_id, payload, message_id)
    projector = context.projector
    if not (projector.is_current and projector.projection.has(session_id)):
        await context.sessions.read(session_id)
    cursor = await say(context, message, ids)
    return answer(MessageAnswer(session_id=session_id, message_id=message_id, cursor=cursor))


@router.delete("/{session_id}", openapi_extra=takes(None, guarded=True), responses=answers(DeletedAnswer))
async def delete_session(request: Request, session_id: str) -> Response:
    """Remove a session and its messages for good. Its id does not come back."""
    context, ids = context_of(request), ids_of(request)
    caller, subject = caller_of(request), f"session.{check_id(session_id, 'session_id')}.deleted"
    event_id, allowed = ids.given("session deleted"), access.writing(caller, session_id, subject)
    with access.hiding(caller, subject):
        try:
            expect = await expected_seq(context, session_id, request, event_id, allowed)
            ack = await context.sessions.delete(session_id, expect=expect, event_id=event_id, allowed=allowed)
        except Conflict as error:
            raise conflict_of(error, expect) from None
        except DeletedSession:
            if allowed is None:
                await context.upkeep.purge(session_id)  # an earlier call may have come no further
            raise
    await context.upkeep.purge(session_id)
    await context.projector.seen(ack.seq)
    return answer(DeletedAnswer(session_id=session_id, message=f"Session {session_id} deleted", cursor=ack.cursor))


async def expected_seq(
    context: Context, session_id: str, request: Request, event_id: str | None, allowed: Allowed | None
) -> int | None:
    """What `If-Match` demands; a call that may be a repetition is let past: the log knows whether it came through."""
    if (if_match := request.headers.get("if-match")) is None:
        return None
    if event_id is not None and (seq := only_seq(if_match)) is not None:
        return seq
    known = await context.sessions.read(session_id)
    if allowed is not None:
        allowed(known.session)  # before anything is told of it
    return expected(if_match, known.seq)


def conflict_of(error: Conflict, expect: int | None) -> Exception:
    """What the caller is told where another writer was first."""
    return error if expect is None else Problem(CHANGED, f"{error}.")


async def session_answer(
    context: Context, session_id: str, seq: int, check: Callable[[Session], None] | None = None
) -> Response:
    """The session as the event at ``seq`` left it: a retry gets what the first attempt got.

    ``check`` is given of a retry, and raises `Problem` where the first attempt wanted something else.
    """
    event = await context.writer.stored(RECORDS, seq)
    if event is None:
        raise DeletedSession(f"session {session_id!r} was deleted meanwhile")
    session = msgspec.convert(event.payload["session"], Session)
    if check is not None:
        check(session)
    await context.projector.seen(seq)
    content = SessionAnswer(session_id=session_id, session=session, cursor=event.cursor)
    return answer(content, {"ETag": etag(seq)})


def same_as(fields: dict[str, Any]) -> Callable[[Session], None]:
    """Raises `Problem` where a session has not these ``fields``."""
    return lambda session: check_same(msgspec.structs.asdict(session), fields)


def _listed(context: Context, row: Row) -> dict[str, Any]:
    fields = msgspec.json.decode(row.session)
    last = None
    if row.last_message is not None:
        last = {"cursor": context.mesh.log.cursor(RECORDS, row.said), **msgspec.structs.asdict(row.last_message)}
    return {**fields, "message_count": row.message_count, "last_message": last, "etag": etag(row.seq)}


def _stored(event: Event) -> StoredMessage:
    return StoredMessage(
        cursor=event.cursor,
        subject=event.subject,
        event_type=event.event_type,
        payload=event.payload,
        id=event.id,
        timestamp=event.timestamp,
    )
