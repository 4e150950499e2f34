"""Answers: a question has one message id for whatever ends it, so exactly one message is ever stored for it.

An agent's answer, the one of another agent that took over, the word that it was given up, and the API's word that
nobody answered all have `answer_id` as their ``message_id`` and are stored under one ``Nats-Msg-Id``. RECORDS refuses a
second one for ten minutes (`daena_mesh.provisioning`); who may be later than that looks into the log first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from daena_mesh import replay
from daena_mesh.cursors import Cursor
from daena_mesh.errors import InvalidCursor, MeshUnavailable
from daena_mesh.events import ChatMessage, Event
from daena_mesh.feed import event_of
from daena_mesh.ids import derived_id
from daena_mesh.layout import RECORDS

if TYPE_CHECKING:
    from daena_mesh.asks import Ask
    from daena_mesh.mesh import Mesh

LOOK_AFTER_S = 240.0
"""A question that is older may have been answered so long ago that RECORDS would store a second answer: half of its
window is left for what clocks differ by, and for the writing itself."""

SYSTEM = "system"
_SKEW = timedelta(seconds=30)
_AT_ONCE = 4
"""Looks at a time for answers to questions of which the time is known, and no position. Where a clock was set back, all
of that while seem old at once, and each look reads a session from its beginning: dozens side by side are all too slow,
begin anew, and never come to an end."""
_STALE_S = 0.05
_STALE_TRIES = 40


def answer_id(session_id: str, message_id: str) -> str:
    """The id of the message that ends the question ``message_id``, whoever writes it."""
    return derived_id("answer", session_id, message_id)


def is_old(asked_at: datetime, now: datetime | None = None) -> bool:
    """Whether one must look into the log for an answer before one is written."""
    return ((now or datetime.now(UTC)) - asked_at).total_seconds() > LOOK_AFTER_S


def is_answer(event: Event, ask: Ask) -> bool:
    """Whether ``event`` ends the question; agents without this SDK say so in ``metadata.in_reply_to`` alone."""
    payload = event.payload
    if payload.get("message_id") == answer_id(ask.session_id, ask.message_id):
        return True
    metadata = payload.get("metadata")
    is_reply = isinstance(metadata, dict) and metadata.get("in_reply_to") == ask.message_id
    return is_reply and payload.get("sender") != ask.sender


def is_refusal(event: Event) -> bool:
    """Whether the message that ends a question says that there is no answer."""
    metadata = event.payload.get("metadata")
    is_none = isinstance(metadata, dict) and (metadata.get("given_up") is True or metadata.get("unanswered") is True)
    return is_none and event.payload.get("sender") == SYSTEM


class Answers:
    """The answers in the log."""

    def __init__(self, mesh: Mesh, *, author: str | None = None) -> None:
        """Through ``mesh``, by ``author`` if that is another than the mesh's own."""
        self._mesh = mesh
        self._author = author
        self._looking = asyncio.Semaphore(_AT_ONCE)

    async def find(self, ask: Ask, asked_at: datetime) -> Event | None:
        """The answer to a question that was put at ``asked_at``, up to the log's head; raises `MeshUnavailable`."""
        subject = f"chat.{ask.session_id}.message"
        patterns = (subject, f"{subject}.*")
        head = await self._mesh.log.head(RECORDS, patterns)
        if not head:
            return None
        if (position := self._asked(ask, head)) is not None:
            return await self._search(ask, patterns, position, head)
        async with self._looking:
            return await self._search(ask, patterns, await self._before(asked_at, head), head)

    async def _search(self, ask: Ask, patterns: Sequence[str], position: int, head: int) -> Event | None:
        """The answer, if it lies behind ``position`` and not behind ``head``."""
        log = self._mesh.log
        while position < head:
            chunk = await replay.read(log, {RECORDS: patterns}, {RECORDS: position}, reach={RECORDS: head})
            for message in chunk.messages:
                event = event_of(message, log.cursor(RECORDS, message.seq), log.settings.max_body_bytes)
                if event is not None and is_answer(event, ask):
                    return event
            position = max(position, chunk.positions[RECORDS])
            if chunk.ended:
                break
        return None

    def _asked(self, ask: Ask, head: int) -> int | None:
        """Where the message that asks lies, whatever clocks say of its time; None where that is not known.

        A position of another epoch, or behind all that the session has, is none of its messages.
        """
        try:
            cursor = Cursor.parse(ask.cursor)
        except InvalidCursor:
            return None
        is_here = cursor.seq <= head and ask.cursor == self._mesh.log.cursor(RECORDS, cursor.seq)
        return cursor.seq if is_here else None

    async def _before(self, asked_at: datetime, head: int) -> int:
        """A position behind which all lies that was stored since, or ``head`` where that is nothing."""
        for _ in range(_STALE_TRIES):
            first = await self._mesh.log.first_since(RECORDS, asked_at - _SKEW)
            if first:
                return first - 1
            last = await self._mesh.log.get(RECORDS, head)
            if last is None or datetime.fromisoformat(last.time.decode()) < asked_at - _SKEW:
                return head
            await asyncio.sleep(_STALE_S)
        raise MeshUnavailable("no replica of the log comes up to its leader")

    async def end(self, ask: Ask, asked_at: datetime, text: str, metadata: dict[str, Any]) -> bool:
        """Say as ``system`` why there is no answer, unless there is one; False if there is.

        Raises `MeshUnavailable`: it may have been said then.
        """
        if await self.find(ask, asked_at) is not None:
            return False
        message = ChatMessage(
            session_id=ask.session_id,
            sender=SYSTEM,
            content=text,
            message_id=answer_id(ask.session_id, ask.message_id),
            metadata={"in_reply_to": ask.message_id, **metadata},
        )
        ack = await self._mesh.chat(ask.session_id, author=self._author).finish(message)
        return not ack.duplicate
