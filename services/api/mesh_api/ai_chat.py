"""`/ai/chat`: the AI SDK's `useChat` talks to whoever answers here.

A call stores what the user said, as the chat calls do, and its response is the answer as it is written. The log has all
of it, so a page that was reloaded is given it again, by any API; to close the response stops nobody.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta

from daena_mesh.asks import Target
from daena_mesh.ids import derived_id, uuid7
from daena_mesh.subjects import check_id
from mesh_api import access
from mesh_api.bodies import ChatBody, Id, Name, answer, read
from mesh_api.callers import caller_of
from mesh_api.chat import put
from mesh_api.context import context_of
from mesh_api.cursors import positions_of
from mesh_api.guarded_route import GuardedRoute
from mesh_api.idempotency import Ids
from mesh_api.openapi import answers, takes
from mesh_api.problems import WRONG_BODY, Problem
from mesh_api.ui_streams import ASKS, read_patterns

router = APIRouter(prefix="/ai", tags=["AI SDK"], route_class=GuardedRoute)

_MOST_ID = 128


class UiMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the AI SDK has it."""

    id: str = ""
    role: str
    parts: list[dict[str, Any]] = []

    @property
    def text(self) -> str:
        """What it says; raises `Problem` where that is nothing, or no text."""
        if any(part.get("type") == "file" for part in self.parts):
            raise Problem(WRONG_BODY, "Files are not taken here.")
        text = "".join(str(part.get("text", "")) for part in self.parts if part.get("type") == "text")
        if not text:
            raise Problem(WRONG_BODY, "The last message of the user has no text.")
        return text


class AiChat(msgspec.Struct, frozen=True, kw_only=True):
    """What `useChat` sends. Of the messages the user's last one counts: the others are in the log."""

    id: Annotated[Id, Meta(description="The session, which begins where there is none.")]
    messages: list[UiMessage] = []
    message: Annotated[UiMessage | None, Meta(description="The last message alone, in place of all.")] = None
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"
    message_id: Annotated[
        str | None, Meta(description="The answer that shall be another one, or the message that was edited.")
    ] = msgspec.field(name="messageId", default=None)
    agent_id: Annotated[Id | None, Meta(description="The agent that is asked; without it Daena is.")] = None
    department_id: Annotated[Id | None, Meta(description="The department that is asked.")] = None
    sender: Annotated[Name, Meta(description="Who says it.")] = "user"
    metadata: Annotated[dict[str, Any], Meta(description="Stored with the message.")] = {}
    context: Annotated[Any, Meta(description="Goes to whoever answers, and is not stored.")] = None

    @property
    def question(self) -> UiMessage:
        """The user's last message; raises `Problem` where there is none, or without an id."""
        messages = self.messages if self.message is None else [self.message]
        for message in reversed(messages):
            if message.role == "user":
                if not 0 < len(message.id) <= _MOST_ID:
                    raise Problem(WRONG_BODY, f"The message of the user needs an id of {_MOST_ID} characters at most.")
                return message
        raise Problem(WRONG_BODY, "There is no message of the user.")

    @property
    def target(self) -> Target:
        """Who is asked; raises `InvalidId`."""
        if self.agent_id is not None:
            return Target("agent", check_id(self.agent_id, "agent_id"))
        if self.department_id is not None:
            return Target("department", check_id(self.department_id, "department_id"))
        return Target("daena")


class StopUi(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever writes in the session was told to stop, if anybody does."""

    success: Literal[True] = True
    stopped: bool


_FAILS = answers(StopUi)["default"]
_STREAM = {
    "description": "The answer, as it is written.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}


@router.post(
    "/chat",
    openapi_extra=takes(AiChat, keyed=False),
    response_class=Response,
    responses={200: _STREAM, "default": _FAILS},
)
async def chat(request: Request) -> Response:
    """Say something, and be given the answer as it is written: a UI message stream, v1.

    The message's own id makes a retry safe.
    """
    context, caller, body = context_of(request), caller_of(request), await read(request, AiChat)
    session_id, said, target = check_id(body.id, "id"), body.question, body.target
    message_id, metadata = said.id, {**body.metadata, ASKS: str(target)}
    if body.trigger == "regenerate-message":
        message_id = derived_id("regenerate", session_id, said.id, body.message_id or uuid7())
        metadata["regenerates"] = said.id
    elif body.message_id is not None:
        message_id = derived_id("edited", session_id, said.id, said.text)
        metadata["edits"] = said.id
    says = ChatBody(
        message=said.text, session_id=session_id, sender=body.sender, metadata=metadata, context=body.context
    )
    ids = Ids((caller.user or "", request.url.path, f"{session_id} {message_id}"))
    reads = read_patterns(session_id)
    context.ui_streams.check_room(caller.user)
    stood = await positions_of(context.mesh)
    asked = await put(context, caller, says, target, ids, message_id=message_id, reads=reads)
    running = await context.ui_streams.answering(asked.ask, asked.cursor, stood)
    return context.ui_streams.respond(
        running,
        caller.user,
        context.callers.while_admitted(caller),
        lambda: access.check_read(context, caller, session_id, *reads),
    )


@router.get(
    "/chat/{session_id}/stream",
    response_class=Response,
    responses={200: _STREAM, 204: {"description": "Nothing is being written, nor awaited."}, "default": _FAILS},
)
async def resume(request: Request, session_id: str) -> Response:
    """Be given the answer that is awaited or being written in a session, from its beginning; 204 where none is."""
    context, caller = context_of(request), caller_of(request)
    reads = read_patterns(check_id(session_id, "session_id"))
    await access.check_read(context, caller, session_id, *reads)
    context.ui_streams.check_room(caller.user)
    running = await context.ui_streams.find(session_id)
    if running is None:
        return Response(status_code=204)
    return context.ui_streams.respond(
        running,
        caller.user,
        context.callers.while_admitted(caller),
        lambda: access.check_read(context, caller, session_id, *reads),
    )


@router.post("/chat/{session_id}/stop", responses=answers(StopUi))
async def stop(request: Request, session_id: str) -> Response:
    """Have those stop who write in a session; what they wrote by then is stored. Whoever only thinks goes on."""
    context = context_of(request)
    subject = f"chat.{check_id(session_id, 'session_id')}.stop"
    await access.check_write(context, caller_of(request), session_id, subject)
    if not await context.unfinished.of(session_id):
        return answer(StopUi(stopped=False))
    draft = context.writer.draft("chat.stop", session_id, {"session_id": session_id}, uuid7())
    await context.writer.store(draft)
    return answer(StopUi(stopped=True))
