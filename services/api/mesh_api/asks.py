"""Asks: questions for agents, in the work queue ``ASKS`` under ``ask.<kind>.<id>.<author>``.

A question is put there once: the queue refuses a second one for the same message.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Literal

import msgspec

from daena_mesh import codec
from daena_mesh.connection import header_block
from daena_mesh.errors import InvalidEvent, MeshUnavailable
from daena_mesh.ids import dedup_id, now
from daena_mesh.mesh import Mesh
from daena_mesh.subjects import check_id

AUTHOR = "api"
EVENT_TYPE = "ask"
_ATTEMPT_S = 2.0
_RETRY_S = 0.05
_TOO_LARGE = 10054

Kind = Literal["daena", "department", "agent"]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A question that somebody shall answer, in the session it was asked in."""

    session_id: str
    message_id: str
    sender: str
    content: str
    metadata: dict[str, Any] = {}
    context: Any = None


class _Error(msgspec.Struct):
    code: int
    err_code: int = 0
    description: str = ""


class _Acknowledged(msgspec.Struct):
    seq: int = 0
    error: _Error | None = None


class Draft(msgspec.Struct, frozen=True):
    """A question that may be put into the queue."""

    subject: str
    body: bytes
    message_id: str


def subject_of(kind: Kind, ident: str = "vp") -> str:
    """Where questions for Daena, a department or an agent go; raises `InvalidId`."""
    return f"ask.{kind}.{check_id(ident, f'{kind}_id')}.{AUTHOR}"


class Asks:
    """The queue."""

    def __init__(self, mesh: Mesh, *, deadline_s: float, patience_s: float) -> None:
        """``deadline_s`` bounds the putting of a question, ``patience_s`` the waiting for a NATS that is away."""
        self._mesh = mesh
        self._deadline_s = deadline_s
        self._patience_s = patience_s

    def draft(self, subject: str, ask: Ask) -> Draft:
        """Check a question; raises `InvalidEvent` for one that is too large."""
        body = codec.encode(
            EVENT_TYPE,
            msgspec.structs.asdict(ask),
            event_id=ask.message_id,
            timestamp=now(),
            source=self._mesh.source,
            most_bytes=2 * self._mesh.settings.max_body_bytes,
        )
        return Draft(subject, body, ask.message_id)

    async def put(self, draft: Draft) -> None:
        """Store it, once for its message; raises `MeshUnavailable`."""
        connection = self._mesh.connection
        headers = header_block({"Nats-Msg-Id": dedup_id(draft.subject, draft.message_id)})
        deadline = time.monotonic() + self._deadline_s
        while True:
            await connection.wait_ready(self._patience_s)
            try:
                reply = await connection.request(draft.subject, draft.body, timeout_s=_ATTEMPT_S, headers=headers)
                reason = MeshUnavailable("the queue of questions has no leader at the moment")
                if not reply.headers:
                    acknowledged = msgspec.json.decode(reply.body, type=_Acknowledged)
                    if acknowledged.error is None:
                        return
                    if acknowledged.error.err_code == _TOO_LARGE:
                        raise InvalidEvent(f"the question is too large: {acknowledged.error.description}")
                    reason = MeshUnavailable(f"the queue of questions: {acknowledged.error.description}")
            except MeshUnavailable as error:
                reason = error
            if time.monotonic() + _RETRY_S >= deadline:
                raise reason
            await asyncio.sleep(_RETRY_S)
