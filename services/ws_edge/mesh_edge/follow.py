"""What a client asks to follow: a topic, from where on, and which events of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from daena_mesh.cursors import Positions
from daena_mesh.errors import InvalidQuery
from mesh_edge.topic_name import TopicName, topic_of

MOST_HISTORY = 1_000
MOST_TYPES = 32
_MOST_SINCE = 1_024


class Follow(NamedTuple):
    """A wish to follow a topic."""

    name: TopicName
    since: Positions = Positions()
    """Go on after these; of a stream that is absent here, from now on."""
    history: int = 0
    """Begin with the newest so many events; with a position to go on from that alone counts."""


def follow_of(connection_id: str, query: Mapping[str, str]) -> Follow:
    """Read what a query says: ``since``, ``history`` and ``types``.

    Raises `InvalidId`, `InvalidCursor`, `InvalidSubject` and `InvalidQuery`.
    """
    name = topic_of(connection_id)
    if types := query.get("types"):
        name = _narrowed(name, types.split(","))
    since = query.get("since", "")
    if len(since) > _MOST_SINCE:
        raise InvalidQuery("since is too long")
    return Follow(name, Positions.parse(since) if since else Positions(), _history_of(query.get("history", "")))


def _narrowed(name: TopicName, types: list[str]) -> TopicName:
    if len(types) > MOST_TYPES:
        raise InvalidQuery(f"types names more than {MOST_TYPES} event types")
    narrowed = name.narrowed([event_type.strip() for event_type in types])
    if not narrowed.patterns:
        raise InvalidQuery(f"no event of the types {','.join(types)[:80]!a} belongs to the topic {name.name!r}")
    return narrowed


def _history_of(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > 4 or int(text) > MOST_HISTORY:
        raise InvalidQuery(f"history {text[:40]!a} is not a number from 0 to {MOST_HISTORY}")
    return int(text)
