"""What the events of sessions and chats say, as far as a list of sessions needs it."""

from __future__ import annotations

from typing import Any

import msgspec

from daena_mesh import codec
from daena_mesh.errors import InvalidEvent
from daena_mesh.events import Event, Session
from daena_mesh.membership import MOST_USER_CHARS
from daena_mesh.sessions import state_of
from daena_mesh.stored import Stored, kind_of

PREVIEW_CHARS = 200
TITLE_CHARS = 60


class LastMessage(msgspec.Struct, frozen=True, gc=False):
    """The newest message of a chat; its content is cut to `PREVIEW_CHARS`."""

    message_id: str
    sender: str
    content: str
    timestamp: str


class Begin(msgspec.Struct, frozen=True):
    """How a session begins that a message without one makes."""

    title: str
    scope_type: str
    scope_id: str | None
    created_by: str | None
    """Who said it first, if that can be a user."""


class Changed(msgspec.Struct, frozen=True):
    """A session has a new state."""

    session_id: str
    seq: int
    session: Session


class Deleted(msgspec.Struct, frozen=True):
    """A session is gone for good."""

    session_id: str
    seq: int


class Said(msgspec.Struct, frozen=True):
    """Something was said in a chat."""

    session_id: str
    seq: int
    message: LastMessage


Fact = Changed | Deleted | Said


def read_fact(message: Stored, cursor: str, most_bytes: int) -> Fact | None:
    """What a stored message says; None for one of another kind. Raises `InvalidEvent` for one that no service wrote."""
    if (kind := kind_of(message.subject)) is None:
        raise InvalidEvent(f"{message.subject[:80]!a} is no subject of ours")
    session_id = kind.subject.split(".")[1]
    if kind.event_type == "chat.message":
        return _said(kind.subject, session_id, message, cursor, most_bytes)
    if kind.event_type not in {"session.created", "session.updated", "session.deleted"}:
        return None
    state = state_of(message, most_bytes)
    if state.session is None:
        return Deleted(session_id, message.seq)
    return Changed(session_id, message.seq, state.session)


def _said(subject: str, session_id: str, message: Stored, cursor: str, most_bytes: int) -> Said:
    event = _event(subject, message, cursor, most_bytes)
    payload = event.payload
    last = LastMessage(
        _text(payload.get("message_id"))[:PREVIEW_CHARS] or event.id,
        _sender(payload),
        _text(payload.get("content"))[:PREVIEW_CHARS],
        event.timestamp,
    )
    return Said(session_id, message.seq, last)


def begin_of(message: Stored, most_bytes: int) -> Begin:
    """How a session begins whose first message this is; raises `InvalidEvent` where it is none."""
    payload = _event(message.subject.decode(), message, "", most_bytes).payload
    about, said_by = payload.get("metadata"), payload.get("sender")
    title = title_of(_text(payload.get("content")))
    # In full or not at all: a name that was cut could be another user's.
    owner = said_by if isinstance(said_by, str) and 1 <= len(said_by) <= MOST_USER_CHARS else None
    for scope_type in ("department", "agent"):
        if isinstance(about, dict) and isinstance(scope_id := about.get(f"{scope_type}_id"), str) and scope_id:
            return Begin(title, scope_type, scope_id[:PREVIEW_CHARS], owner)
    return Begin(title, "executive", None, owner)


def title_of(content: str) -> str:
    """A title from the first words of what is said."""
    words = " ".join(content[: 8 * TITLE_CHARS].split())
    if len(words) <= TITLE_CHARS:
        return words or "New chat"
    cut = words[:TITLE_CHARS].rpartition(" ")[0] or words[: TITLE_CHARS - 1]
    return f"{cut}…"


def _event(subject: str, message: Stored, cursor: str, most_bytes: int) -> Event:
    msg_id = message.msg_id
    return codec.decode(
        subject,
        message.body,
        cursor=cursor,
        time=message.time.decode(),
        msg_id=msg_id.decode() if msg_id else None,
        most_bytes=most_bytes,
    )


def _sender(payload: dict[str, Any]) -> str:
    return _text(payload.get("sender"))[:PREVIEW_CHARS] or "unknown"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()[:PREVIEW_CHARS]
