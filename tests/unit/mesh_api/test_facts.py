from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.errors import InvalidEvent
from daena_mesh.stored import Stored
from mesh_api.facts import PREVIEW_CHARS, TITLE_CHARS, Changed, Deleted, Said, begin_of, read_fact, title_of

SESSION = {"session_id": "s1", "title": "T", "created_at": "now", "updated_at": "now"}


def stored(subject: str, body: Any) -> Stored:
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Stored("RECORDS", subject.encode(), 7, 0, b"2026-11-23T02:00:00Z", b"NATS/1.0", data)


def fact(subject: str, body: Any) -> Any:
    return read_fact(stored(subject, body), "Rabc-7", 65_536)


def test_a_state() -> None:
    found = fact("session.s1.updated", {"session_id": "s1", "updates": {}, "session": SESSION})
    assert isinstance(found, Changed)
    assert (found.session_id, found.seq, found.session.title) == ("s1", 7, "T")


def test_an_end() -> None:
    assert fact("session.s1.deleted", {"session_id": "s1"}) == Deleted("s1", 7)


def test_a_message_also_of_an_author() -> None:
    body = {"event_type": "chat.message", "payload": {"sender": "u", "content": "x" * 500, "message_id": "m"}}
    found = fact("chat.s1.message.scout", body)
    assert isinstance(found, Said)
    assert (found.session_id, found.message.message_id, found.message.sender) == ("s1", "m", "u")
    assert found.message.content == "x" * PREVIEW_CHARS


def test_a_bare_message_that_is_hardly_one() -> None:
    found = fact("chat.s1.message", {"content": {"text": [1]}, "sender": None})
    assert isinstance(found, Said)
    assert (found.message.content, found.message.sender) == ('{"text":[1]}', "unknown")
    assert found.message.message_id == "Rabc-7"


def test_other_events_of_a_session_say_nothing() -> None:
    assert fact("session.s1.renamed", {"x": 1}) is None


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("session.s1.created", b"no json"),
        ("session.s1.created", {"title": "no session"}),
        ("session.s1.created", {"session": {**SESSION, "title": 1}}),
        ("session.s1.created", {"session": {**SESSION, "session_id": "another"}}),
        ("session.s1.deleted", b"oops"),
        ("session.s1.deleted", {}),
        ("session.s1.deleted", {"session_id": "another"}),
        ("session.s1", {"session": SESSION}),
        ("chat.s1.message", b"[1]"),
        ("chat.s1.message", {"event_type": "chat.typing", "payload": {}}),
    ],
)
def test_what_no_service_wrote_is_refused(subject: str, body: Any) -> None:
    with pytest.raises(InvalidEvent):
        fact(subject, body)


def test_a_session_begins_in_the_scope_of_its_first_message() -> None:
    message = stored(
        "chat.s1.message", {"content": "Who  is\nin HR?", "sender": "ada", "metadata": {"department_id": "HR"}}
    )
    begin = begin_of(message, 65_536)
    assert (begin.title, begin.scope_type, begin.scope_id, begin.created_by) == (
        "Who is in HR?",
        "department",
        "HR",
        "ada",
    )


@pytest.mark.parametrize("metadata", [None, "x", {"department_id": 5}, {"agent_id": ""}])
def test_a_scope_that_is_none_is_executive(metadata: Any) -> None:
    begin = begin_of(stored("chat.s1.message", {"content": "", "metadata": metadata}), 65_536)
    assert (begin.title, begin.scope_type, begin.scope_id) == ("New chat", "executive", None)


@given(st.text())
def test_a_title_is_one_short_line(content: str) -> None:
    title = title_of(content)
    assert 1 <= len(title) <= TITLE_CHARS + 1
    assert title == " ".join(title.split())


def test_a_long_title_ends_at_a_word() -> None:
    assert title_of("word " * 40) == "word word word word word word word word word word word word…"
    assert title_of("x" * 400) == "x" * (TITLE_CHARS - 1) + "…"
