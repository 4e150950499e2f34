from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.asks import Target, read_ask
from daena_mesh.errors import InvalidEvent, InvalidId
from daena_mesh.stored import Stored

IDS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)


def ask(payload: Any, *, whole: bool = False) -> bytes:
    return json.dumps({"event_type": "ask", "payload": payload} if whole else payload).encode()


def stored(body: bytes, *headers: str, subject: str = "ask.agent.a.cli") -> Stored:
    return Stored("ASKS", subject.encode(), 7, 0, b"", "\r\n".join(["NATS/1.0", *headers]).encode(), body)


@pytest.mark.parametrize(
    ("text", "target", "subject", "consumer", "metadata"),
    [
        ("agent/scout", "agent/scout", "ask.agent.scout.api", "agent-scout", {"agent_id": "scout"}),
        ("department/hr", "department/hr", "ask.department.hr.api", "department-hr", {"department_id": "hr"}),
        ("daena", "daena/vp", "ask.daena.vp.api", "daena-vp", {}),
        ("daena/vp", "daena/vp", "ask.daena.vp.api", "daena-vp", {}),
    ],
)
def test_a_target(text: str, target: str, subject: str, consumer: str, metadata: dict[str, str]) -> None:
    parsed = Target.parse(text)
    assert (str(parsed), parsed.subject("api"), parsed.consumer, parsed.metadata) == (
        *(target, subject, consumer, metadata),
    )
    assert parsed.pattern == subject.removesuffix("api") + "*"


@given(st.text(max_size=80))
def test_whatever_is_no_target_is_refused(text: str) -> None:
    try:
        target = Target.parse(text)
    except InvalidId:
        return
    assert Target.parse(str(target)) == target
    assert target.subject("a").count(".") == 3


@given(IDS)
def test_no_two_targets_share_a_consumer(ident: str) -> None:
    targets = [Target("agent", ident), Target("department", ident), Target("daena", ident)]
    assert len({target.consumer for target in targets}) == 3


@pytest.mark.parametrize("whole", [True, False])
def test_a_question_is_read_as_it_was_put(whole: bool) -> None:
    payload = {"session_id": "s1", "message_id": "m1", "sender": "ada", "content": "?", "metadata": {"a": 1}}
    read = read_ask(stored(ask(payload, whole=whole), "Mesh-Cursor: Rk3f-5", subject="ask.department.hr.api"), 2)
    assert (read.session_id, read.message_id, read.sender, read.content) == ("s1", "m1", "ada", "?")
    assert (read.metadata, read.context, read.target, read.attempt) == ({"a": 1}, None, "department/hr", 2)
    assert read.cursor == "Rk3f-5"


def test_what_a_question_lacks_follows_from_its_place() -> None:
    body = ask({"session_id": "s1", "content": "?"})
    assert read_ask(stored(body)).message_id == "ask-7"
    assert read_ask(stored(body, "Nats-Msg-Id: k")).message_id == "k"
    assert (read_ask(stored(body)).sender, read_ask(stored(body)).cursor) == ("user", "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff{}",
        b"[" * 100_000,
        ask({"content": "?"}),
        ask({"session_id": "s1"}),
        ask({"session_id": "a.b", "content": "?"}),
        ask({"session_id": "s1", "content": 5}),
        ask({"session_id": "s1", "content": "?", "message_id": "m" * 257}),
        ask({"session_id": "s1", "content": "?"}, whole=True).replace(b'"ask"', b'"chat.message"'),
        ask("text", whole=True),
    ],
    ids=str,
)
def test_what_is_no_question_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidEvent):
        read_ask(stored(body))


@given(st.binary(max_size=64))
def test_whatever_lies_in_the_queue_is_a_question_or_refused(body: bytes) -> None:
    try:
        read_ask(stored(body))
    except InvalidEvent:
        return
