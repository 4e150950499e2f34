"""What the calls about sessions answer."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from daena_mesh.events import Session
from mesh_api.facts import LastMessage


class SessionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A session as it is after the call."""

    success: Literal[True] = True
    session_id: str
    session: Session
    cursor: str


class ListedMessage(LastMessage, frozen=True, kw_only=True):
    """The last message of a session; its content is cut."""

    cursor: str


class ListedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session in the list: its own fields, how many messages it has, and the last of them."""

    session_id: str
    title: str
    category: str | None
    scope_type: str
    scope_id: str | None
    created_at: str
    updated_at: str
    created_by: str | None
    members: tuple[str, ...]
    metadata: dict[str, Any]
    message_count: int
    last_message: ListedMessage | None
    etag: str


class SessionList(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions, newest first; ``next`` is the ``cursor`` of the page after this one."""

    sessions: list[ListedSession]
    next: str | None


class StoredMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it stands in the log."""

    cursor: str
    subject: str
    event_type: str
    payload: dict[str, Any]
    id: str
    timestamp: str


class SessionWithMessages(msgspec.Struct, frozen=True, kw_only=True):
    """A session with a page of its messages, oldest first; ``next`` is the ``before`` of the page before this one.

    A socket opened with ``since`` misses nothing: neither what was stored since ``cursors``, which is from before the
    messages were read, nor any piece of the messages that are being written.
    """

    session_id: str
    session: Session
    messages: list[StoredMessage]
    cursors: str
    since: str
    next: str | None


class MessageAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A message is stored."""

    success: Literal[True] = True
    session_id: str
    message_id: str
    cursor: str


class DeletedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A session is gone for good."""

    success: Literal[True] = True
    session_id: str
    message: str
    cursor: str
