"""Asking: a question is stored as a message, put into the queue, and its answer is waited for in the log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from daena_mesh.answers import is_answer, is_refusal
from daena_mesh.asks import Ask, Asks, Target
from daena_mesh.errors import Unanswered
from daena_mesh.events import Event
from daena_mesh.ids import uuid7
from daena_mesh.subjects import safe_id

if TYPE_CHECKING:
    from daena_mesh.mesh import Mesh

_DEADLINE_S = 5.0


class Answer(NamedTuple):
    """What somebody answered."""

    text: str
    message_id: str
    session_id: str
    sender: str
    cursor: str
    metadata: dict[str, Any]


async def ask(
    mesh: Mesh,
    target: str,
    text: str,
    *,
    session_id: str | None = None,
    sender: str = "user",
    metadata: dict[str, Any] | None = None,
    context: Any = None,
    wait_s: float = 20.0,
) -> Answer:
    """Ask ``target``; see `Mesh.ask`."""
    whom = Target.parse(target)
    question = Ask(
        session_id=session_id or uuid7(),
        message_id=uuid7(),
        sender=sender,
        content=text,
        metadata={**(metadata or {}), **whom.metadata},
        context=context,
    )
    asks = Asks(mesh, deadline_s=_DEADLINE_S, patience_s=_DEADLINE_S)
    draft = asks.draft(whom.subject(mesh.author or safe_id(mesh.source)), question)
    chat = mesh.chat(question.session_id)
    asked = await chat.send(text, sender=sender, metadata=question.metadata, message_id=question.message_id)
    await asks.put(draft, cursor=asked.cursor)
    event = await answer_to(mesh, question, since=asked.cursor, wait_s=wait_s)
    if event is None:
        raise Unanswered(
            f"{whom} has not answered within {wait_s:g} s; an answer may still come, to {chat.session_id!r}"
        )
    if is_refusal(event):
        raise Unanswered(str(event.payload.get("content")))
    return Answer(
        text=str(event.payload.get("content", "")),
        message_id=str(event.payload.get("message_id", event.id)),
        session_id=question.session_id,
        sender=str(event.payload.get("sender", "")),
        cursor=event.cursor,
        metadata=dict(event.payload.get("metadata") or {}),
    )


async def answer_to(mesh: Mesh, question: Ask, *, since: str, wait_s: float) -> Event | None:
    """The message that ends a question, stored behind the cursor ``since``; None where none comes in ``wait_s``."""
    pattern = f"chat.{question.session_id}.message"
    feed = mesh.subscribe(pattern, f"{pattern}.*", since=since)
    try:
        async with asyncio.timeout(wait_s):
            async for item in feed:
                if isinstance(item, Event) and is_answer(item, question):
                    return item
    except TimeoutError:
        pass
    finally:
        feed.close()
    return None
