"""Events, and the payloads of the types that the mesh knows.

Payloads are open: keys that a type does not name pass through, in ``extra``. Types that the mesh does not know stay
plain dictionaries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import msgspec

from daena_mesh.errors import InvalidEvent


class Payload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of all typed payloads."""

    event_type: ClassVar[str]
    """The type whose payload this is."""
    id_field: ClassVar[str]
    """The key that holds the id of the subject."""

    extra: dict[str, Any] = {}
    """Keys that the type does not name."""

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; raises `InvalidEvent`, which names the key that is wrong."""
        known = {key: value for key, value in payload.items() if key in cls.__struct_fields__ and key != "extra"}
        extra = {key: value for key, value in payload.items() if key not in known}
        try:
            return msgspec.structs.replace(msgspec.convert(known, cls), extra=extra)
        except msgspec.ValidationError as error:
            raise InvalidEvent(f"payload of {cls.event_type}: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """The JSON object that goes onto the wire."""
        fields = msgspec.structs.asdict(self)
        return {**{key: value for key, value in fields.items() if key != "extra"}, **self.extra}


class ChatMessage(Payload, frozen=True, kw_only=True):
    """What somebody said in a session."""

    event_type: ClassVar[str] = "chat.message"
    id_field: ClassVar[str] = "session_id"

    session_id: str
    sender: str
    content: str
    message_id: str
    metadata: dict[str, Any] = {}


class ChatDelta(Payload, frozen=True, kw_only=True):
    """A piece of a message that is being written; the message of the same ``message_id`` supersedes it."""

    event_type: ClassVar[str] = "chat.delta"
    id_field: ClassVar[str] = "session_id"

    session_id: str
    sender: str
    message_id: str
    index: int
    text: str
    run: str = ""
    """Who writes it: another run of the same message begins anew, with ``index`` 0, and supersedes the older one."""


class ChatTyping(Payload, frozen=True, kw_only=True):
    """Somebody is writing."""

    event_type: ClassVar[str] = "chat.typing"
    id_field: ClassVar[str] = "session_id"

    session_id: str
    sender: str


class ChatStop(Payload, frozen=True, kw_only=True):
    """Whoever writes a message in the session piece by piece shall stop, or the writer of ``message_id`` alone."""

    event_type: ClassVar[str] = "chat.stop"
    id_field: ClassVar[str] = "session_id"

    session_id: str
    message_id: str | None = None
    who: str | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """The whole state of a session, as each of its events carries it."""

    session_id: str
    title: str
    category: str | None = None
    scope_type: str = "executive"
    scope_id: str | None = None
    created_at: str
    updated_at: str
    created_by: str | None = None
    """Its owner."""
    members: tuple[str, ...] = ()
    """Who else may read and write it."""
    metadata: dict[str, Any] = {}


class SessionCreated(Payload, frozen=True, kw_only=True):
    """A session begins."""

    event_type: ClassVar[str] = "session.created"
    id_field: ClassVar[str] = "session_id"

    session_id: str
    title: str
    category: str | None = None
    scope_type: str = "executive"
    scope_id: str | None = None
    session: Session


class SessionUpdated(Payload, frozen=True, kw_only=True):
    """Fields of a session changed: ``updates`` has the changed ones, ``session`` the state after it."""

    event_type: ClassVar[str] = "session.updated"
    id_field: ClassVar[str] = "session_id"

    session_id: str
    updates: dict[str, Any]
    session: Session


class SessionDeleted(Payload, frozen=True, kw_only=True):
    """A session and its messages are gone for good."""

    event_type: ClassVar[str] = "session.deleted"
    id_field: ClassVar[str] = "session_id"

    session_id: str


class CouncilUpdate(Payload, frozen=True, kw_only=True):
    """News of a council: a proposal, a vote, a decision."""

    event_type: ClassVar[str] = "council.update"
    id_field: ClassVar[str] = "council_id"

    council_id: str
    update: Any


class AgentActivity(Payload, frozen=True, kw_only=True):
    """What an agent does now."""

    event_type: ClassVar[str] = "agent.activity"
    id_field: ClassVar[str] = "agent_id"

    agent_id: str = ""
    activity: Any


class AgentStatus(Payload, frozen=True, kw_only=True):
    """Whether an agent is there."""

    event_type: ClassVar[str] = "agent.status"
    id_field: ClassVar[str] = "agent_id"

    agent_id: str = ""
    status: Literal["online", "busy", "offline"]
    instance: str | None = None
    """Which process of the agent's name."""
    serves: list[str] = []
    """Whose questions it answers, such as ``agent/scout`` and ``department/hr``."""
    reason: str | None = None


class TaskUpdate(Payload, frozen=True, kw_only=True):
    """How far a task has come."""

    event_type: ClassVar[str] = "task.update"
    id_field: ClassVar[str] = "task_id"

    task_id: str
    status: str
    """``running``, ``completed``, ``failed``, ``cancelled``, or a word of the publisher's own."""
    progress: Any = None
    agent_id: str | None = None
    title: str | None = None
    reason: str | None = None
    """Why it failed."""


class BrainStatus(Payload, frozen=True, kw_only=True):
    """The state of a brain, that is of a server of language models."""

    event_type: ClassVar[str] = "brain.status"
    id_field: ClassVar[str] = "brain_id"

    brain_id: str = "main"
    status: Any


class Presence(Payload, frozen=True, kw_only=True):
    """Who came to a topic or left it, and how many are there after it."""

    id_field: ClassVar[str] = "topic"

    topic: str
    who: str
    count: int


class PresenceJoin(Presence, frozen=True, kw_only=True):
    """Somebody came."""

    event_type: ClassVar[str] = "presence.join"


class PresenceLeave(Presence, frozen=True, kw_only=True):
    """Somebody left."""

    event_type: ClassVar[str] = "presence.leave"


PAYLOADS: Mapping[str, type[Payload]] = {
    payload.event_type: payload
    for payload in (
        *(ChatMessage, ChatDelta, ChatTyping, ChatStop, SessionCreated, SessionUpdated, SessionDeleted, CouncilUpdate),
        *(AgentActivity, AgentStatus, TaskUpdate, BrainStatus, PresenceJoin, PresenceLeave),
    )
}
"""The typed payload of each known event type. ``system.notice`` carries whatever a broadcast carries."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event, as it was stored."""

    event_type: str
    payload: dict[str, Any]
    id: str
    timestamp: str
    """RFC 3339, UTC."""
    source: str | None = None
    subject: str
    cursor: str
    """The position in the log, to give back as ``since``."""

    @property
    def typed(self) -> Payload:
        """The payload as the struct of its type; raises `InvalidEvent` for types that the mesh does not know."""
        if (payload := PAYLOADS.get(self.event_type)) is None:
            raise InvalidEvent(f"{self.event_type!r} has no typed payload; read `payload`")
        return payload.from_dict(self.payload)
