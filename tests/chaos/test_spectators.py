"""A spectator takes frames as the protocol says: each event once, also one that an edge shows late."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.chaos.ledger import Book
from tests.chaos.spectators import Spectator, Spectators

ASKED, ANSWERED = "chat.ask.message", "chat.ask.message.echo"


@pytest.fixture
def spectator() -> Spectator:
    books = {subject: Book(subject) for subject in (ASKED, ANSWERED)}
    return Spectators([1], [("/ws/chat/ask", [ASKED, ANSWERED])], books).spectators[0]


def event(subject: str, number: int, seq: int, prev: int | None = None) -> bytes:
    frame: dict[str, Any] = {"event_type": "chat.message", "subject": subject, "payload": {"content": str(number)}}
    frame["cursor"] = f"Rlife-{seq}"
    if prev is not None:
        frame["prev"] = f"Rlife-{prev}"
    return msgspec.json.encode(frame)


def test_an_event_that_is_shown_late_is_seen_and_a_repetition_is_not(spectator: Spectator) -> None:
    late = event(ASKED, 1, 6)
    for frame in (event(ASKED, 0, 5), event(ANSWERED, 0, 7, 5), late, late, event(ASKED, 0, 5), event(ASKED, 2, 8, 7)):
        spectator.take(frame)
    assert list(spectator.tracks[ASKED].items()) == [0, 1, 2]
    assert list(spectator.tracks[ANSWERED].items()) == [0]
    assert (spectator.dropped, spectator.unfit) == (2, 0)


def test_what_does_not_follow_is_not_taken(spectator: Spectator) -> None:
    spectator.take(event(ASKED, 0, 5))
    spectator.take(event(ASKED, 2, 9, 8))
    assert list(spectator.tracks[ASKED].items()) == [0]
    assert spectator.unfit == 1


@pytest.mark.parametrize(
    ("members", "is_ill", "is_deaf"),
    [
        ({"status": "connected"}, False, False),
        ({"status": "degraded", "missing": ["S"]}, False, True),
        ({"status": "degraded", "missing": ["R"]}, True, False),
        ({"status": "degraded", "missing": ["R", "S"]}, True, True),
        ({"status": "degraded"}, True, True),
    ],
)
def test_it_is_ill_without_records_and_deaf_without_signals(
    spectator: Spectator, members: dict[str, Any], is_ill: bool, is_deaf: bool
) -> None:
    spectator.take(msgspec.json.encode({"event_type": "connection", "payload": members}))
    assert (spectator.ill_since is not None, spectator.deaf_since is not None) == (is_ill, is_deaf)
