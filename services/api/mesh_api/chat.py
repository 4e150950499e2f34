"""The three chat calls: what is said is stored as a message, and put to whoever shall answer as a question.

Session, message, question: in this order, each under an id that a retry derives again, so that a retry with the same
`Idempotency-Key` completes what a crash left half-done and doubles nothing. With `Prefer: wait=20` the answer is waited
for, in the log, so it may come from anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from fastapi import APIRouter, Request, Response

from daena_mesh.answers import is_refusal
from daena_mesh.asking import answer_to
from daena_mesh.asks import Ask, Target
from daena_mesh.errors import DeletedSession, InvalidId
from daena_mesh.layout import RECORDS
from daena_mesh.subjects import check_id
from mesh_api import access
from mesh_api.bodies import ChatBody, answer, read
from mesh_api.callers import Caller, caller_of
from mesh_api.context import Context, context_of
from mesh_api.facts import title_of
from mesh_api.guarded_route import GuardedRoute
from mesh_api.idempotency import Ids, check_same, ids_of
from mesh_api.openapi import answers, takes
from mesh_api.prefer import wait_of
from mesh_api.writing import Draft, message_payload

AUTHOR = "api"

router = APIRouter(prefix="/api/v1", tags=["chat"], route_class=GuardedRoute)


class ChatAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A chat call has stored what was said."""

    success: Literal[True] = True
    session_id: str
    message_id: str
    cursor: str
    response: str | None = None
    """The answer, for who waited for it with `Prefer: wait=20`; null where none came in that time."""


@router.post("/daena/chat", openapi_extra=takes(ChatBody, waits=True), responses=answers(ChatAnswer))
async def chat_with_daena(request: Request) -> Response:
    """Say something to Daena."""
    return await _chat(request, Target("daena"))


@router.post(
    "/departments/{department_id}/chat", openapi_extra=takes(ChatBody, waits=True), responses=answers(ChatAnswer)
)
async def chat_with_department(request: Request, department_id: str) -> Response:
    """Say something to a department."""
    return await _chat(request, Target("department", check_id(department_id, "department_id")))


@router.post("/agents/{agent_id}/chat", openapi_extra=takes(ChatBody, waits=True), responses=answers(ChatAnswer))
async def chat_with_agent(request: Request, agent_id: str) -> Response:
    """Say something to an agent."""
    return await _chat(request, Target("agent", check_id(agent_id, "agent_id")))


async def _chat(request: Request, target: Target) -> Response:
    context, body, ids = context_of(request), await read(request, ChatBody), ids_of(request)
    session_id = ids.make("session") if body.session_id is None else check_id(body.session_id, "session_id")
    body = msgspec.structs.replace(body, session_id=session_id)
    caller, wait_s = caller_of(request), wait_of(request.headers.getlist("prefer"))
    subject = f"chat.{session_id}.message"
    reads = () if wait_s is None else (subject, f"{subject}.*")
    message_id = ids.make("message")
    asked = await put(context, caller, body, target, ids, message_id=message_id, reads=reads)
    if wait_s is None:
        return answer(ChatAnswer(session_id=session_id, message_id=message_id, cursor=asked.cursor))
    async with context.callers.while_admitted(caller):
        event = await answer_to(context.mesh, asked.ask, since=asked.cursor, wait_s=wait_s)
    said = None if event is None or is_refusal(event) else str(event.payload.get("content", ""))
    return answer(
        ChatAnswer(session_id=session_id, message_id=message_id, cursor=asked.cursor, response=said),
        {"Preference-Applied": f"wait={wait_s}"},
    )


class Asked(NamedTuple):
    """A question that was put, and where its message is stored."""

    ask: Ask
    cursor: str


async def put(
    context: Context,
    caller: Caller,
    body: ChatBody,
    target: Target,
    ids: Ids,
    *,
    message_id: str,
    reads: Sequence[str],
) -> Asked:
    """Store what is said in the session of ``body``, and put it to ``target``; raises `Problem` and `MeshError`.

    ``reads`` are the patterns that the caller must be allowed to read, to be shown the answer.
    """
    session_id = str(body.session_id)
    subject = f"chat.{session_id}.message"
    may_at_once = caller.rights.may_write(subject) and caller.rights.may_read(reads)
    if not may_at_once:
        await access.check_join(context, caller, session_id, subject, reads)
    sender = caller.user or body.sender
    metadata = _metadata(body, target)
    payload = message_payload(session_id, sender, body.message, message_id, metadata)
    message = context.writer.draft("chat.message", session_id, payload, message_id)
    ask = Ask(
        session_id=session_id,
        message_id=message_id,
        sender=sender,
        content=body.message,
        metadata=metadata,
        context=body.context,
    )
    draft = context.asks.draft(target.subject(AUTHOR), ask)
    with access.hiding(caller, subject):
        await _ensure_session(context, session_id, body, target, ids, sender=sender)
    if not may_at_once:  # somebody else may have been first to begin it
        await access.check_write(context, caller, session_id, subject)
        if reads:
            await access.check_read(context, caller, session_id, *reads)
    cursor = await say(context, message, ids)
    await context.asks.put(draft, cursor=cursor)
    return Asked(ask, cursor)


def _metadata(body: ChatBody, target: Target) -> dict[str, Any]:
    metadata = dict(body.metadata)
    if body.agent_id is not None:
        metadata["agent_id"] = check_id(body.agent_id, "agent_id")
    if target.kind == "agent" and body.agent_id not in {None, target.id}:
        raise InvalidId(f"agent_id {body.agent_id!r} is not the agent of this address, {target.id!r}")
    return {**metadata, **target.metadata}


async def _ensure_session(
    context: Context, session_id: str, body: ChatBody, target: Target, ids: Ids, *, sender: str
) -> None:
    projector = context.projector
    if projector.is_current:
        if projector.projection.is_deleted(session_id):
            raise DeletedSession(f"session {session_id!r} was deleted")
        if projector.projection.has(session_id):
            return
    await context.sessions.create(
        session_id,
        title=title_of(body.message),
        created_by=sender,
        event_id=ids.make("session of a chat"),
        scope_type="executive" if target.kind == "daena" else target.kind,
        scope_id=None if target.kind == "daena" else target.id,
    )


async def say(context: Context, message: Draft, ids: Ids) -> str:
    """Store a message and return its cursor; raises `Problem` where another one was stored under the same key."""
    ack = await context.writer.store(message)
    if ack.duplicate and ids.base is not None:
        stored = await context.writer.stored(RECORDS, ack.seq)
        if stored is not None:
            check_same(stored.payload, message.payload)
    await context.projector.seen(ack.seq)
    return ack.cursor
