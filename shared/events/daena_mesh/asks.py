"""Asks: questions for agents, in the work queue ``ASKS`` under ``ask.<kind>.<id>.<author>``.

A question is put there once: the queue refuses a second one for the same message.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import msgspec

from daena_mesh import codec, trace
from daena_mesh.connection import header_block
from daena_mesh.errors import InvalidEvent, InvalidId, MeshUnavailable
from daena_mesh.held import Write
from daena_mesh.ids import dedup_id, now
from daena_mesh.jetstream import ApiReply
from daena_mesh.layout import RECORDS
from daena_mesh.provisioning import ASKS
from daena_mesh.repeats import Repeat
from daena_mesh.stored import Stored
from daena_mesh.subjects import check_id

if TYPE_CHECKING:
    from daena_mesh.mesh import Mesh

EVENT_TYPE = "ask"
MOST_ID = 256
_MOST_BYTES = 1_048_576
"""What NATS takes at most."""
_ATTEMPT_S = 1.0
_RETRY_S = 0.05
_TOO_LARGE = 10054
_AGAIN = "Mesh-Again"
_CURSOR = "Mesh-Cursor"
_cursor = re.compile(rb"\r\nMesh-Cursor: *([A-Za-z0-9-]{1,40}) *\r\n", re.IGNORECASE)

Kind = Literal["daena", "department", "agent"]


class Target(NamedTuple):
    """Whom a question is for: ``agent/scout``, ``department/hr``, or ``daena``, which is ``daena/vp``."""

    kind: Kind
    id: str = "vp"

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read one; raises `InvalidId`."""
        kind, slash, ident = text.partition("/")
        if kind not in get_args(Kind) or (kind != "daena" and not slash):
            raise InvalidId(f"{text[:80]!a} is none of 'agent/<id>', 'department/<id>' and 'daena'")
        return cls(kind, check_id(ident, f"{kind}_id")) if slash else cls("daena")  # type: ignore[arg-type]

    @classmethod
    def of(cls, subject: str) -> Target:
        """Whom a question on ``subject`` is for; raises `InvalidId`."""
        return cls.parse("/".join(subject.split(".")[1:3]))

    def __str__(self) -> str:
        return f"{self.kind}/{self.id}"

    def subject(self, author: str) -> str:
        """Where ``author`` puts questions for it; raises `InvalidId`."""
        return f"ask.{self.kind}.{check_id(self.id, f'{self.kind}_id')}.{check_id(author, 'author')}"

    @property
    def pattern(self) -> str:
        """All questions for it, whoever asks."""
        return self.subject("x").removesuffix("x") + "*"

    @property
    def consumer(self) -> str:
        """The consumer of the queue that all who serve it share."""
        return f"{self.kind}-{self.id}"

    @property
    def metadata(self) -> dict[str, str]:
        """What the message of such a question says of whom it is for."""
        return {} if self.kind == "daena" else {f"{self.kind}_id": self.id}


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A question that somebody shall answer, in the session it was asked in."""

    session_id: str
    message_id: str
    """The id of the message that asks."""
    sender: str = "user"
    content: str
    metadata: dict[str, Any] = {}
    context: Any = None
    """What the asking party sent along for whoever answers; it is not stored with the message."""
    target: str = ""
    """Whom it is for, such as ``department/hr``; known from the queue, and no part of what is put there."""
    attempt: int = 1
    """How often it has been tried to answer it, this time included."""
    cursor: str = ""
    """Where the message that asks lies in the log, so that answers lie behind it; empty where nobody said so."""


class _Wire(msgspec.Struct):
    """An ask as it lies in the queue; whoever has a NATS client may put one there."""

    session_id: str
    content: str
    message_id: str = ""
    sender: str = "user"
    metadata: dict[str, Any] = {}
    context: Any = None


class _Acknowledged(ApiReply):
    seq: int = 0


class Draft(msgspec.Struct, frozen=True):
    """A question that may be put into the queue."""

    subject: str
    body: bytes
    message_id: str


def read_ask(message: Stored, attempt: int = 1) -> Ask:
    """The question that a message of the queue is; raises `InvalidEvent` for what is none.

    A JSON object without ``event_type`` is the question itself. Where it has no ``message_id``, its ``Nats-Msg-Id`` is
    its id, or what follows from its place in the queue.
    """
    envelope, seq = codec.check(message.body, EVENT_TYPE, _MOST_BYTES), message.seq
    raw = message.body if isinstance(envelope.payload, msgspec.UnsetType) else envelope.payload
    try:
        wire = msgspec.json.decode(raw, type=_Wire)
        check_id(wire.session_id, "session_id")
        target = Target.of(message.subject.decode("ascii", "replace"))
    except (msgspec.DecodeError, RecursionError, InvalidId) as error:
        raise InvalidEvent(f"what lies at {seq} in the queue of questions is none: {error}") from None
    msg_id, cursor = message.msg_id, _cursor.search(message.headers + b"\r\n")
    message_id = wire.message_id or (msg_id.decode() if msg_id else f"ask-{seq}")
    if len(message_id) > MOST_ID:
        raise InvalidEvent(f"the question at {seq} has an id of {len(message_id)} characters, {MOST_ID} are allowed")
    return Ask(
        session_id=wire.session_id,
        message_id=message_id,
        sender=wire.sender,
        content=wire.content,
        metadata=wire.metadata,
        context=wire.context,
        target=str(target),
        attempt=attempt,
        cursor=cursor[1].decode() if cursor else "",
    )


def is_put_again(message: Stored) -> bool:
    """Whether a question in the queue is there in the place of one that was forgotten."""
    return f"\r\n{_AGAIN}: ".encode() in message.headers + b"\r\n"


class Asks:
    """The queue."""

    def __init__(self, mesh: Mesh, *, deadline_s: float, patience_s: float) -> None:
        """``deadline_s`` bounds the putting of a question, ``patience_s`` the waiting for a NATS that is away."""
        self._mesh = mesh
        self._deadline_s = deadline_s
        self._patience_s = patience_s

    def draft(self, subject: str, ask: Ask) -> Draft:
        """Check a question; raises `InvalidEvent` for one that is too large."""
        payload = {name: getattr(ask, name) for name in _Wire.__struct_fields__}
        body = codec.encode(
            EVENT_TYPE,
            payload,
            event_id=ask.message_id,
            timestamp=now(),
            source=self._mesh.source,
            most_bytes=2 * self._mesh.settings.max_body_bytes,
        )
        return Draft(subject, body, ask.message_id)

    async def put(self, draft: Draft, *, cursor: str = "", again_of: int | None = None) -> None:
        """Store it, once for its message, which lies at ``cursor`` in the log; raises `MeshUnavailable`.

        ``again_of`` is where it lies in the queue already, and was forgotten: it is stored once more then, once.
        """
        ident = draft.message_id if again_of is None else f"{draft.message_id} again {again_of}"
        msg_id = dedup_id(draft.subject, ident)
        headers = {"Nats-Msg-Id": msg_id}
        if cursor:
            headers[_CURSOR] = cursor
        if again_of is not None:
            headers[_AGAIN] = "1"
        with trace.span("store ask", "producer", subject=draft.subject):
            if traceparent := trace.current():
                headers[trace.HEADER] = traceparent
            await self._put(draft, header_block(headers), Write(self._mesh.connection, ASKS, draft.subject, msg_id))

    async def _put(self, draft: Draft, headers: bytes, write: Write) -> None:
        connection = self._mesh.connection
        deadline = time.monotonic() + self._deadline_s
        while True:
            await self._mesh.log.wait_led(RECORDS, self._patience_s)  # it is stored there already, as a message
            try:
                reply = await connection.request(
                    draft.subject, draft.body, timeout_s=_ATTEMPT_S, headers=headers, repeat=Repeat.AFTER_SILENCE
                )
                reason = MeshUnavailable(f"{ASKS}, the queue of questions, has no leader at the moment")
                if not reply.headers:
                    acknowledged = msgspec.json.decode(reply.body, type=_Acknowledged)
                    if acknowledged.error is None:
                        return
                    if acknowledged.error.err_code == _TOO_LARGE:
                        raise InvalidEvent(f"the question is too large: {acknowledged.error.description}")
                    reason = MeshUnavailable(f"the queue of questions: {acknowledged.error.description}")
                    write.refused(acknowledged.error.err_code)
            except MeshUnavailable as error:
                reason = error
                write.refused(0)
            if time.monotonic() + _RETRY_S >= deadline:
                raise reason
            await asyncio.sleep(_RETRY_S)
