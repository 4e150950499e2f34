"""What one client has sent and is not answered yet: stored one after the other, and answered in that order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from typing import Protocol

from daena_mesh.ids import now
from daena_mesh.log import Ack
from mesh_edge.control import control_frame
from mesh_edge.sending import Author, Draft, Refused, SendMessage

MOST_WAITING = 64
_TYPING_S = 1.0
_MOST_TYPING = 16
_log = logging.getLogger(__name__)


class Desk(Protocol):
    """What `sending.Desk` does."""

    outcomes: Counter[str]

    def draft(self, message: SendMessage, author: Author) -> Draft:
        """Check what a client sends; raises `Refused`."""

    def pass_on(self, draft: Draft) -> None:
        """Publish a fleeting signal."""

    async def store(self, draft: Draft) -> Ack:
        """Store an event; raises `Refused`."""


class Client(Protocol):
    """The socket, as far as it is answered from here."""

    def send(self, data: bytes) -> None:
        """Write a frame."""


class Outgoing:
    """The events of one socket on their way into the log.

    One at a time: they stand in the log in the order in which they were sent, whatever is tried again.
    """

    __slots__ = ("_client", "_desk", "_typed", "_waiting", "_working")

    def __init__(self, client: Client, desk: Desk) -> None:
        """For ``client``, through ``desk``."""
        self._client = client
        self._desk = desk
        self._waiting: deque[tuple[str | None, Draft | Refused]] = deque()
        self._typed: dict[str, float] = {}
        self._working: asyncio.Task[None] | None = None

    def take(self, message: SendMessage, author: Author) -> None:
        """Take a ``send`` in; it is answered when it is stored or refused, after those before it."""
        if len(self._waiting) >= MOST_WAITING:
            reason = f"{MOST_WAITING} messages wait to be stored; send this one again when one is acknowledged"
            self._answer(message.id, Refused("too_many", reason, retry_after_ms=1_000))
            return
        try:
            item: Draft | Refused = self._desk.draft(message, author)
        except Refused as refused:
            item = refused
        if isinstance(item, Draft) and item.is_fleeting:
            if not self._may_type(item.subject.id, time.monotonic()):
                return
            if item.belonging is None:
                self._desk.pass_on(item)
                return
        self._waiting.append((message.id, item))
        if self._working is None:
            self._working = asyncio.create_task(self._work(), name="what a client sent")

    def drop(self) -> None:
        """Store nothing more of what waits: the client broke the rules. The one on its way may still be stored."""
        self._waiting.clear()

    def _may_type(self, session_id: str, at: float) -> bool:
        """Whether somebody is told of it: once a second for each session."""
        if at - self._typed.get(session_id, -_TYPING_S) < _TYPING_S:
            return False
        if len(self._typed) >= _MOST_TYPING:
            self._typed.clear()
        self._typed[session_id] = at
        return True

    async def _work(self) -> None:
        try:
            while self._waiting:
                client_id, item = self._waiting.popleft()
                self._answer(client_id, item if isinstance(item, Refused) else await self._store(item))
        finally:
            self._working = None

    async def _store(self, draft: Draft) -> Ack | Refused:
        try:
            return await self._desk.store(draft)
        except Refused as refused:
            return refused
        except Exception:  # noqa: BLE001 - or those behind it would wait for ever
            _log.exception("what a client sent could not be stored")
            return Refused("not_stored", "the edge failed; send it again under the same id", retry_after_ms=1_000)

    def _answer(self, client_id: str | None, answer: Ack | Refused) -> None:
        if isinstance(answer, Refused):
            self._desk.outcomes[answer.code] += 1
            self._client.send(error_frame(answer, client_id))
        elif client_id is not None:
            # In the payload: a cursor beside it would look like an event's to who goes by cursors.
            payload = {"id": client_id, "cursor": answer.cursor, "duplicate": answer.duplicate}
            self._client.send(control_frame("ack", payload=payload, timestamp=now()))


def error_frame(refused: Refused, client_id: str | None, topic: str | None = None) -> bytes:
    """The frame that tells why something was refused, or that a ``topic`` has ended."""
    payload: dict[str, object] = {"code": refused.code, "message": str(refused)}
    if client_id is not None:
        payload["id"] = client_id
    if topic is not None:
        payload["topic"] = topic
    if refused.retry_after_ms is not None:
        payload["retry_after_ms"] = refused.retry_after_ms
    return control_frame("error", payload=payload, timestamp=now())
