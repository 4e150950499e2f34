"""What clients send: an event is checked against who sends it, and stored under an id that is only theirs.

Nothing here waits but `Desk.store`; who waits for whom is for `outgoing`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any, NamedTuple

import msgspec

from daena_mesh import codec
from daena_mesh.connection import header_block
from daena_mesh.errors import ConfigurationError, InvalidEvent, InvalidId, InvalidSubject, MeshUnavailable, NotCovered
from daena_mesh.events import PAYLOADS
from daena_mesh.ids import dedup_id, derived_id, now, uuid7
from daena_mesh.layout import RECORDS, TTL_S
from daena_mesh.log import Ack
from daena_mesh.membership import Circle, circle_of, may_write
from daena_mesh.mesh import Mesh
from daena_mesh.permissions import EDGE, templates
from daena_mesh.sessions import SessionStore
from daena_mesh.subjects import MAX_TOKENS, Subject, check_pattern, matches
from daena_mesh.tokens import Rights
from mesh_edge.client_messages import ClientId

DEADLINE_S = 5.0
"""How long after it came in a message may still be stored; then its client is told that it was not."""

_ANY_SIZE = 1 << 62
_MOST_SUBJECT = 512
_SERVICES_ONLY = {
    "session": "the REST calls under /api/v1/chat-history/sessions write the events of sessions",
    "presence": "the edges write who is present",
}
_RETRY_AFTER_MS = 1_000
_ANONYMOUS = "user"


class SendMessage(msgspec.Struct, frozen=True):
    """``{"type":"send","id":"c1","subject":"chat.s1.message","payload":{…}}``."""

    subject: str
    payload: dict[str, Any]
    id: ClientId | None = None


class Author(NamedTuple):
    """Who sends, and the patterns of subjects on which they may."""

    user: str | None
    """The ``sub`` of their token; None where nobody authenticates."""
    may_write: tuple[str, ...]


class Draft(NamedTuple):
    """An event that may be stored."""

    subject: Subject
    stream: str
    client_id: str | None
    event_id: str
    payload: dict[str, Any]
    body: bytes
    received: float
    """When it came in, by the monotonic clock."""
    belonging: str | None = None
    """Who must belong to the session, for no pattern allows it."""

    @property
    def is_fleeting(self) -> bool:
        """Whether it is worth nothing in some seconds, and nobody waits to hear of it."""
        return self.client_id is None and self.subject.event_type == "chat.typing"


class Refused(Exception):
    """A message that is not stored: ``code`` for programs, and one sentence for people."""

    def __init__(self, code: str, message: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_ms = retry_after_ms


def patterns(setting: str) -> tuple[str, ...]:
    """The patterns in ``MESH_OPEN_WRITE``; raises `ConfigurationError`."""
    try:
        return tuple(check_pattern(part.strip()) for part in setting.split(",") if part.strip())
    except InvalidSubject as error:
        raise ConfigurationError(f"MESH_OPEN_WRITE: {error}") from None


_decode = msgspec.json.Decoder(SendMessage).decode


def read_send(text: str) -> SendMessage:
    """Read a ``send``; raises `Refused`, which names what is wrong."""
    try:
        return _decode(text)
    except msgspec.ValidationError as error:
        reason = str(error)
        raise Refused(
            "bad_message", f"a 'send' has a subject and a payload: {reason[:1].lower()}{reason[1:]}"
        ) from None
    except (msgspec.DecodeError, RecursionError):
        raise Refused("bad_message", "a 'send' has a subject and a payload, a JSON object") from None


class Desk:
    """Where all sockets of an edge hand in what their clients send."""

    def __init__(self, mesh: Mesh) -> None:
        """Events go through ``mesh``."""
        self.outcomes: Counter[str] = Counter()
        """What became of what was sent: ``stored``, ``duplicate``, ``passed_on``, or why it was not."""
        self._mesh = mesh
        self._sessions = SessionStore(mesh)
        self._allowed: list[str] | None = templates(mesh.layout)[EDGE]["pub"]["allow"] if mesh.role == EDGE else None
        """What NATS lets an edge publish, where it has credentials that are for nothing else."""

    def draft(self, message: SendMessage, author: Author) -> Draft:
        """Check what a client sends; raises `Refused`."""
        subject, belonging = self._subject(message.subject, author)
        event_id = derived_id("sent", str(subject), author.user or "", message.id) if message.id else uuid7()
        payload = _completed(subject, message.payload, author.user, event_id)
        try:
            stream = self._mesh.layout.stream_of(message.subject)
            if (typed := PAYLOADS.get(subject.event_type)) is not None:
                typed.from_dict(payload)
            body = codec.encode(
                subject.event_type,
                payload,
                event_id=event_id,
                timestamp=now(),
                source=self._mesh.source,
                most_bytes=_ANY_SIZE,
            )
        except NotCovered as error:
            raise Refused("bad_subject", str(error)) from None
        except InvalidEvent as error:
            raise Refused("bad_payload", str(error)) from None
        most = self._mesh.settings.max_body_bytes
        if len(body) > most:
            raise Refused("too_large", f"the event has {len(body)} bytes, {most} are allowed")
        return Draft(subject, stream, message.id, event_id, payload, body, time.monotonic(), belonging)

    def _subject(self, text: str, author: Author) -> tuple[Subject, str | None]:
        """The subject, and who must belong to its session, if anybody."""
        try:
            if len(text) > _MOST_SUBJECT or text.count(".") >= MAX_TOKENS:
                raise InvalidSubject("the subject is too long")
            subject = Subject.parse(text)
        except (InvalidSubject, InvalidId) as error:
            raise Refused("bad_subject", str(error)) from None
        if (why := _SERVICES_ONLY.get(subject.domain)) is not None:
            raise Refused("not_allowed", f"nothing can be sent on {text!r}: {why}")
        belonging = None
        if not any(matches(pattern, text) for pattern in author.may_write):
            if not may_write(Rights(), author.user, text, subject.id, Circle(author.user)):
                raise _not_allowed(text, author.may_write)
            belonging = author.user
        if author.user is not None and subject.author not in {None, author.user}:
            raise Refused("not_allowed", f"{text!r} names another author than the one of the token")
        return self._within_rights(subject), belonging

    def _within_rights(self, subject: Subject) -> Subject:
        """The subject on which NATS lets this edge publish: with its credentials it may not end one with a name.

        Who sends stands in the event all the same.
        """
        for possible in (subject, subject._replace(author=None)):
            if self._allowed is None or any(matches(pattern, str(possible)) for pattern in self._allowed):
                return possible
        raise Refused("not_allowed", f"an edge may not send on '{subject}' with its credentials; agents do that")

    def pass_on(self, draft: Draft) -> None:
        """Publish a fleeting signal, and wait for nothing; one that NATS cannot take now is lost."""
        headers = header_block({"Nats-TTL": str(TTL_S[draft.subject.event_type])})
        try:
            self._mesh.connection.publish(str(draft.subject), draft.body, headers)
        except MeshUnavailable:
            self.outcomes["not_stored"] += 1
        else:
            self.outcomes["passed_on"] += 1

    async def store(self, draft: Draft) -> Ack:
        """Store it; raises `Refused`. An acknowledgement means that this very event is in the log."""
        try:
            async with asyncio.timeout(draft.received + DEADLINE_S - time.monotonic()):
                ack = await self._append(draft)
        except (MeshUnavailable, TimeoutError):
            raise Refused(
                "not_stored",
                "the log did not answer in time; send it again under the same id, and it is stored once",
                retry_after_ms=_RETRY_AFTER_MS,
            ) from None
        except InvalidEvent as error:
            raise Refused("bad_payload", str(error)) from None
        self.outcomes["duplicate" if ack.duplicate else "stored"] += 1
        return ack

    async def _append(self, draft: Draft) -> Ack:
        log, subject = self._mesh.log, str(draft.subject)
        await log.connection.wait_ready(DEADLINE_S)
        if draft.belonging is not None:
            await self._check_circle(draft)
        elif draft.subject.event_type == "chat.message":
            await self._check_session(draft)
        ack = await log.append(
            subject,
            draft.body,
            event_id=draft.event_id,
            msg_id=dedup_id(subject, draft.event_id),
            ttl_s=TTL_S.get(draft.subject.event_type),
            deadline_s=DEADLINE_S,
            patience_s=DEADLINE_S,
        )
        if ack.duplicate:
            await self._check_same(draft, ack)
        return ack

    async def _check_circle(self, draft: Draft) -> None:
        state = await self._sessions.state(draft.subject.id)
        if not circle_of(state and state.session).includes(draft.belonging):
            raise _not_allowed(str(draft.subject), ())

    async def _check_session(self, draft: Draft) -> None:
        if await self._mesh.log.last(RECORDS, f"session.{draft.subject.id}.deleted") is not None:
            raise Refused("gone", f"session {draft.subject.id!r} was deleted")

    async def _check_same(self, draft: Draft, ack: Ack) -> None:
        """An id that somebody else has used, or the same client for something else, must not swallow this event."""
        stored = await self._mesh.log.get(draft.stream, ack.seq)
        if stored is None:
            return  # it was stored, and has expired since
        try:
            before = codec.decode(
                str(draft.subject),
                stored.body,
                cursor=ack.cursor,
                time=stored.time.decode(),
                msg_id=None,
                most_bytes=self._mesh.settings.max_body_bytes,
            ).payload
        except InvalidEvent:
            before = {}
        if before != msgspec.json.decode(msgspec.json.encode(draft.payload)):
            raise Refused("id_reused", f"the id {draft.client_id!r} was used for another event; a UUID never is")


def _not_allowed(text: str, may_write: tuple[str, ...]) -> Refused:
    allowed = ", ".join(may_write[:5]) or "nothing"
    return Refused("not_allowed", f"nothing may be sent here on {text!r}; allowed: {allowed[:200]}")


def _completed(subject: Subject, given: dict[str, Any], user: str | None, event_id: str) -> dict[str, Any]:
    """The payload with the keys that follow from the rest; raises `Refused` where it contradicts its subject."""
    payload = dict(given)
    if (typed := PAYLOADS.get(subject.event_type)) is not None:
        if payload.setdefault(typed.id_field, subject.id) != subject.id:
            raise Refused("bad_payload", f"{typed.id_field} in the payload is not the id {subject.id!r} of the subject")
        if subject.event_type == "chat.message":
            payload.setdefault("message_id", event_id)
    if user is not None and (subject.domain == "chat" or "sender" in payload):
        payload["sender"] = user
    elif subject.domain == "chat":
        payload.setdefault("sender", _ANONYMOUS)
    return payload
