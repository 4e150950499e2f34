"""What a client asks to follow, as pure reading: nothing that makes no sense goes further."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.errors import InvalidCursor, InvalidId, InvalidQuery, InvalidSubject
from daena_mesh.subjects import intersection, matches
from mesh_edge.follow import follow_of

WORDS = st.sampled_from(["a", "b", "*"])
PATTERNS = st.lists(WORDS, min_size=1, max_size=4).map(".".join) | st.lists(WORDS, max_size=3).map(
    lambda words: ".".join([*words, ">"])
)
SUBJECTS = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=5).map(".".join)


@given(PATTERNS, PATTERNS, SUBJECTS)
def test_the_intersection_matches_what_both_match(one: str, other: str, subject: str) -> None:
    both = intersection(one, other)
    assert (both is not None and matches(both, subject)) == (matches(one, subject) and matches(other, subject))


@pytest.mark.parametrize(
    ("name", "types", "patterns"),
    [
        ("chat_s1", "chat.message", ("chat.s1.message", "chat.s1.message.*")),
        (
            "chat_s1",
            "chat.message, session.updated",
            (
                "chat.s1.message",
                "chat.s1.message.*",
                "session.s1.updated",
                "session.s1.updated.*",
            ),
        ),
        ("agent_a", "task.update", ("task.*.update.a",)),
        ("events", "brain.status", ("brain.*.status", "brain.*.status.*")),
        ("council", "council.update", ("council.*.update", "council.*.update.*")),
    ],
)
def test_types_narrow_the_subjects(name: str, types: str, patterns: tuple[str, ...]) -> None:
    assert follow_of(name, {"types": types}).name.patterns == patterns


def test_types_of_one_topic_are_one_topic_in_any_order_of_repetition() -> None:
    once = follow_of("chat_s1", {"types": "chat.message"}).name
    assert follow_of("chat_s1", {"types": "chat.message,chat.message"}).name == once
    assert once != follow_of("chat_s1", {}).name


def test_what_is_not_said_has_no_meaning() -> None:
    follow = follow_of("events", {})
    assert (follow.name.patterns, dict(follow.since), follow.history) == ((">",), {}, 0)
    assert follow_of("events", {"since": "", "history": "", "types": ""}) == follow


@pytest.mark.parametrize("history", ["0", "1", "0020", "1000"])
def test_a_history_is_a_number_of_events(history: str) -> None:
    assert follow_of("events", {"history": history}).history == int(history)


@pytest.mark.parametrize(
    ("name", "query", "error", "says"),
    [
        ("events", {"history": "-1"}, InvalidQuery, "history"),
        ("events", {"history": "1001"}, InvalidQuery, "1000"),
        ("events", {"history": "٣"}, InvalidQuery, "history"),
        ("events", {"history": "1e3"}, InvalidQuery, "history"),
        ("events", {"history": "9" * 5_000}, InvalidQuery, "history"),
        ("events", {"since": "Rabc"}, InvalidCursor, "cursor"),
        ("events", {"since": "Ra-1." * 300}, InvalidQuery, "since"),
        ("chat_s1", {"types": "council.update"}, InvalidQuery, "chat_s1"),
        ("chat_s1", {"types": "chat"}, InvalidSubject, "chat"),
        ("chat_s1", {"types": "chat.message,"}, InvalidSubject, "event type"),
        ("chat_s1", {"types": "chat.*"}, InvalidSubject, "event type"),
        ("chat_s1", {"types": "chat.a.b"}, InvalidSubject, "event type"),
        ("chat_s1", {"types": ",".join(["chat.message"] * 33)}, InvalidQuery, "32"),
        ("chat_s 1", {}, InvalidId, "session_id"),
    ],
)
def test_what_makes_no_sense_is_named(name: str, query: dict[str, str], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says) as raised:
        follow_of(name, query)
    assert len(str(raised.value)) < 300
