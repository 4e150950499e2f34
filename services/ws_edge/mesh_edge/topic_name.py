"""Topics: what a socket can follow, by the name of a connection, and the subjects that it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from daena_mesh.errors import InvalidId, InvalidSubject
from daena_mesh.subjects import check_event_type, check_id, check_pattern, covers, intersection
from daena_mesh.tokens import Rights
from mesh_edge.wire import FRAMES, Wire

EVENTS = "events"
COUNCIL = "council"
CHAT = "chat"
_MOST_KNOWN = 1_024
_MOST_GRANTED = 64


class TopicName(NamedTuple):
    """A topic."""

    name: str
    """The ``connection_id`` that names its group of sockets."""
    patterns: tuple[str, ...]
    """The subjects that it carries."""
    wire: Wire = FRAMES
    """How it travels to clients."""
    circle: str = ""
    """The session to whose owner and members alone it is shown; empty: to whom their patterns allow it."""

    @property
    def followed(self) -> tuple[str, ...]:
        """The subjects that are followed for it."""
        if not self.circle:
            return self.patterns
        own = f"session.{self.circle}.>"
        return (*(pattern for pattern in self.patterns if not covers(own, pattern)), own)

    def narrowed(self, event_types: Sequence[str]) -> TopicName:
        """The same with these event types alone, such as ``chat.message``; raises `InvalidSubject`."""
        wanted = [pattern for event_type in event_types for pattern in _patterns_of(event_type)]
        found = {intersection(mine, pattern): None for pattern in wanted for mine in self.patterns}
        return self._replace(patterns=tuple(pattern for pattern in found if pattern is not None))

    def granted(self, read: Sequence[str]) -> TopicName | None:
        """The same for who may read ``read`` alone; None where that does not do.

        Of `events`, which is all there is, they are shown what they may read. Any other topic is shown as a whole: that
        of a session to its owner and members, if it is not allowed them anyway.
        """
        if Rights(tuple(read)).may_read(self.patterns):
            return self
        kind, _, ident = self.name.partition("_")
        if kind == CHAT:
            return self._replace(circle=ident)
        if self.name != EVENTS or len(read) > _MOST_GRANTED:
            return None
        both = (intersection(mine, pattern) for pattern in read if _is_pattern(pattern) for mine in self.patterns)
        shown = list(dict.fromkeys(pattern for pattern in both if pattern is not None))
        shown = [one for one in shown if not any(other != one and covers(other, one) for other in shown)]
        return self._replace(patterns=tuple(shown)) if shown else None


def _is_pattern(text: str) -> bool:
    try:
        check_pattern(text)
    except InvalidSubject:
        return False
    return True


def _patterns_of(event_type: str) -> tuple[str, str]:
    domain, verb = check_event_type(event_type)
    return f"{domain}.*.{verb}", f"{domain}.*.{verb}.*"


def events() -> TopicName:
    """Everything."""
    return TopicName(EVENTS, (">",))


def council() -> TopicName:
    """All councils."""
    return TopicName(COUNCIL, ("council.>",))


def chat(session_id: str) -> TopicName:
    """A session: its chat, and what happens to itself. Raises `InvalidId`."""
    check_id(session_id, "session_id")
    return TopicName(f"chat_{session_id}", (f"chat.{session_id}.>", f"session.{session_id}.>"))


def agent(agent_id: str) -> TopicName:
    """An agent: what it does, and the tasks it works on. Raises `InvalidId`."""
    check_id(agent_id, "agent_id")
    return TopicName(f"agent_{agent_id}", (f"agent.{agent_id}.>", f"task.*.update.{agent_id}"))


@lru_cache(maxsize=_MOST_KNOWN)
def topic_of(connection_id: str) -> TopicName:
    """The topic of a ``connection_id`` such as ``chat_s1``; raises `InvalidId`."""
    kind, _, ident = connection_id.partition("_")
    if connection_id == EVENTS:
        return events()
    if connection_id == COUNCIL:
        return council()
    if kind == CHAT:
        return chat(ident)
    if kind == "agent":
        return agent(ident)
    raise InvalidId(
        f"connection_id {connection_id[:80]!a} is none of {EVENTS!r}, {COUNCIL!r}, 'chat_<session_id>', "
        "'agent_<agent_id>'"
    )
