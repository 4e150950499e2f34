"""Where an edge shows a topic, and which topic has what a pattern of subjects is about. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit, urlunsplit

from daena_mesh.errors import InvalidId, InvalidQuery
from daena_mesh.subjects import check_pattern

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_is_topic = re.compile(r"events|council|(?:chat|agent)_[A-Za-z0-9_-]{1,64}").fullmatch
_is_loopback = re.compile(r"localhost|127(?:\.\d{1,3}){3}|::1").fullmatch
_SESSION = re.compile(r"(?:chat|session)\.([A-Za-z0-9_-]{1,64})\..+").fullmatch
_AGENT = re.compile(r"agent\.([A-Za-z0-9_-]{1,64})\..+").fullmatch


def socket_url(base: str, topic: str, *, since: str = "", history: int | None = None, types: Sequence[str] = ()) -> str:
    """The address of ``topic`` on the mesh at ``base``, such as ``https://mesh.example.com/``.

    Raises:
        InvalidId: there is no such topic.
        InvalidQuery: ``base`` is no address of a mesh.
    """
    if not _is_topic(topic):
        raise InvalidId(f"{topic[:80]!r} is no topic; 'events', 'council', 'chat_<session>' and 'agent_<agent>' are")
    parts = urlsplit(base)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise InvalidQuery(f"{base[:200]!r} is no address of a mesh such as 'https://mesh.example.com/'")
    path = f"{parts.path.rstrip('/').removesuffix('/ws')}/ws/{topic.replace('_', '/', 1)}"
    query = {"since": since, "history": "" if since or history is None else str(history), "types": ",".join(types)}
    asked = urlencode({name: value for name, value in query.items() if value})
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, asked, ""))


def is_loopback(base: str) -> bool:
    """Whether it is this very machine, which no proxy stands before."""
    return bool(_is_loopback(urlsplit(base).hostname or ""))


def topic_for(pattern: str) -> str:
    """The smallest topic that carries all that ``pattern`` matches; raises `InvalidSubject`."""
    check_pattern(pattern)
    if found := _SESSION(pattern):
        return f"chat_{found[1]}"
    if found := _AGENT(pattern):
        return f"agent_{found[1]}"
    return "council" if pattern.startswith("council.") else "events"
