"""What clients say in text, and the answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_edge import closing
from mesh_edge.client_messages import MOST_ERRORS, Budget, answer
from tests.unit.mesh_edge.test_envelope import VALUES, payload_of


@given(VALUES)
def test_a_ping_is_answered_with_the_same_value(timestamp: Any) -> None:
    text = json.dumps(timestamp)
    reply, ends = answer(f'{{"type":"ping","timestamp":{text}}}', Budget())
    assert payload_of(reply).decode() == f'{{"event_type":"pong","timestamp":{text}}}'
    assert ends is None


def test_a_ping_without_a_timestamp_gets_null() -> None:
    assert payload_of(answer('{"type":"ping"}', Budget())[0]) == b'{"event_type":"pong","timestamp":null}'


def test_a_pong_is_ignored() -> None:
    assert answer('{"type":"pong","timestamp":1}', Budget()) == (b"", None)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *(
            (text, "bad_message")
            for text in ("", "huh", "[]", "null", "{}", '{"type":5}', '{"type":null}', "{", "\x00")
        ),
        *((text, "bad_message") for text in ("[" * 50_000, '{"type":' * 10_000, '{"type":"ping","timestamp":}')),
        *((text, "unknown_type") for text in ('{"type":""}', '{"type":"PING"}', '{"type":"send"}')),
        ('{"type":"' + "x" * 60_000 + '"}', "unknown_type"),
        ('{"type":"\\u0000\\n<script>"}', "unknown_type"),
    ],
)
def test_anything_else_gets_an_error_that_says_what_is_wrong(text: str, code: str) -> None:
    reply, ends = answer(text, Budget())
    error = json.loads(payload_of(reply))
    assert ends is None
    assert error["event_type"] == "error"
    assert error["payload"]["code"] == code
    assert error["payload"]["message"].isprintable()
    assert len(error["payload"]["message"]) < 200


@given(st.text(max_size=100))
def test_whatever_is_said_there_is_an_answer(text: str) -> None:
    reply, ends = answer(text, Budget())
    assert ends is None
    assert reply == b"" or json.loads(payload_of(reply))["event_type"] in {"error", "pong"}


def test_the_tenth_error_in_a_minute_closes_and_a_minute_later_one_may_err_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = [1_000.0]
    monkeypatch.setattr("mesh_edge.client_messages.time.monotonic", lambda: at[0])
    budget = Budget()
    for _ in range(MOST_ERRORS - 1):
        assert answer("?", budget)[1] is None
        assert answer('{"type":"ping"}', budget)[1] is None
    at[0] += 59
    assert answer("?", budget)[1] is closing.BAD_REQUEST
    budget = Budget()
    for _ in range(3):
        for _ in range(MOST_ERRORS - 1):
            assert answer("?", budget)[1] is None
        at[0] += 61
