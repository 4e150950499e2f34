"""A brain's parts around a server of models, for tests: what looks at it, and what answers with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from daena_mesh.events import Event
from daena_mesh.feed import Feed
from daena_mesh.mesh import Mesh
from daena_mesh.stream_writer import StreamWriter
from mesh_brain.answer import Answerer
from mesh_brain.server import ModelServer
from mesh_brain.settings import BrainSettings, Place


class Question(msgspec.Struct, kw_only=True):
    """What somebody asked."""

    session_id: str = "s1"
    message_id: str
    sender: str = "user"
    content: str
    context: Any = None


@asynccontextmanager
async def answering(mesh: Mesh, url: str, **settings: Any) -> AsyncIterator[Answerer]:
    """Give what answers with the server at ``url``; it gives up quickly."""
    told = BrainSettings(**{"brain_most_pause_s": 0.02, "brain_watch_s": 0.02, **settings})
    server = ModelServer(Place(url), told)
    try:
        yield Answerer(mesh, server, told)
    finally:
        await server.close()


async def ask(mesh: Mesh, content: str, *, session_id: str = "s1", **of: Any) -> Question:
    """Say it in the session, as the API does."""
    ack = await mesh.chat(session_id).send(content, sender=of.get("sender", "user"))
    return Question(session_id=session_id, message_id=ack.id, content=content, **of)


async def first_words(deltas: Feed) -> Event:
    """Give the first piece of a message that says something; one without a text only tells that somebody writes."""
    async for item in deltas:
        if isinstance(item, Event) and item.payload["text"]:
            return item
    raise AssertionError("the feed has ended")


async def answer(answerer: Answerer, mesh: Mesh, question: Question) -> Event:
    """Have it answered, and give the message."""
    writer: StreamWriter
    async with mesh.chat(question.session_id).stream("daena", in_reply_to=question.message_id) as writer:
        await answerer.answer(question, writer)
    (*_, event) = await mesh.chat(question.session_id).history()
    assert event.payload["message_id"] == writer.message_id
    return event
