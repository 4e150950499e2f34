"""Events on their way into the log: checked in full first, so that nothing is stored of what is refused."""

from __future__ import annotations

from typing import Any, NamedTuple

from daena_mesh import codec
from daena_mesh.events import PAYLOADS, Event
from daena_mesh.feed import event_of
from daena_mesh.ids import dedup_id, now
from daena_mesh.layout import TTL_S
from daena_mesh.log import Ack
from daena_mesh.mesh import Mesh
from daena_mesh.subjects import subject_for


class Draft(NamedTuple):
    """An event that may be stored."""

    event_type: str
    subject: str
    stream: str
    event_id: str
    payload: dict[str, Any]
    body: bytes


class Writer:
    """Writes events for the API."""

    def __init__(self, mesh: Mesh, *, deadline_s: float) -> None:
        """A write takes at most ``deadline_s`` while NATS answers."""
        self._mesh = mesh
        self._deadline_s = deadline_s

    def draft(self, event_type: str, ident: str, payload: dict[str, Any], event_id: str) -> Draft:
        """Check an event; raises `InvalidId`, `InvalidSubject`, `NotCovered` and `InvalidEvent`."""
        subject = subject_for(event_type, ident)
        stream = self._mesh.layout.stream_of(subject)
        if (typed := PAYLOADS.get(event_type)) is not None:
            typed.from_dict(payload)
        body = codec.encode(
            event_type,
            payload,
            event_id=event_id,
            timestamp=now(),
            source=self._mesh.source,
            most_bytes=self._mesh.settings.max_body_bytes,
        )
        return Draft(event_type, subject, stream, event_id, payload, body)

    async def store(self, draft: Draft) -> Ack:
        """Store it; raises `MeshUnavailable`, also for a signal: who is answered may rely on it."""
        return await self._mesh.log.append(
            draft.subject,
            draft.body,
            event_id=draft.event_id,
            msg_id=dedup_id(draft.subject, draft.event_id),
            ttl_s=TTL_S.get(draft.event_type),
            deadline_s=self._deadline_s,
        )

    async def stored(self, stream: str, seq: int) -> Event | None:
        """What is stored at ``seq``, or None where that is gone or no event; raises `MeshUnavailable`."""
        message = await self._mesh.log.get(stream, seq)
        if message is None:
            return None
        return event_of(message, self._mesh.log.cursor(stream, seq), self._mesh.settings.max_body_bytes)


def message_payload(
    session_id: str, sender: str, content: str, message_id: str, metadata: dict[str, Any]
) -> dict[str, Any]:
    """The payload of a ``chat.message``."""
    return {
        "session_id": session_id,
        "sender": sender,
        "content": content,
        "message_id": message_id,
        "metadata": metadata,
    }
