"""One event as one frame: the same live and replayed, always valid JSON, the edge's own keys never a publisher's."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.codec import MAX_BODY_BYTES, Poison
from daena_mesh.stored import Stored
from mesh_edge.control import control_frame
from mesh_edge.envelope import event_text, is_notice
from mesh_edge.frames import text_frame

TIME = b"2026-11-23T02:37:08.123456789Z"
OURS = ("topic", "cursor", "prev", "subject")


def stored(body: bytes, subject: bytes = b"chat.s1.message", headers: bytes = b"NATS/1.0") -> Stored:
    return Stored("RECORDS", subject, 120, 0, TIME, headers, body)


def payload_of(frame: bytes) -> bytes:
    """What a frame carries; its length must be right."""
    assert frame[0] == 0x81
    size, begin = frame[1], 2
    if size >= 126:
        begin = 4 if size == 126 else 10
        size = int.from_bytes(frame[2:begin], "big")
    assert len(frame) == begin + size
    return frame[begin:]


def shown(message: Stored, prev: int | None = None) -> dict[str, Any]:
    pairs: list[tuple[str, Any]] = json.loads(
        payload_of(text_frame(event_text(b"chat_s1", message, b"Rk3f-", prev, MAX_BODY_BYTES))),
        object_pairs_hook=lambda pairs: pairs,
        parse_constant=lambda name: pytest.fail(f"{name} is not JSON"),
    )
    keys = [key for key, _ in pairs]
    assert len(set(keys) & set(OURS)) == len([key for key in keys if key in OURS]), "a key of ours is there twice"
    frame: dict[str, Any] = json.loads(
        payload_of(text_frame(event_text(b"chat_s1", message, b"Rk3f-", prev, MAX_BODY_BYTES)))
    )
    return frame


def test_the_frame_of_a_whole_body() -> None:
    body = (
        b'{"event_type":"chat.message","payload":{"a":[1,2.50,"\\u00e9"]},"id":"x1","timestamp":"then","source":"api"}'
    )
    assert payload_of(text_frame(event_text(b"chat_s1", stored(body), b"Rk3f-", 117, MAX_BODY_BYTES))) == (
        b'{"topic":"chat_s1","cursor":"Rk3f-120","prev":"Rk3f-117","subject":"chat.s1.message",' + body[1:]
    )


def test_a_replayed_frame_is_the_live_one_but_for_prev() -> None:
    for body in (b'{"a":1}', b' {"event_type":"chat.message","payload":{}}', b"{}"):
        live = payload_of(text_frame(event_text(b"t", stored(body), b"Rk3f-", 0, MAX_BODY_BYTES)))
        replayed = payload_of(text_frame(event_text(b"t", stored(body), b"Rk3f-", None, MAX_BODY_BYTES)))
        assert live.replace(b'"prev":"Rk3f-0",', b"", 1) == replayed


def test_a_bare_payload_gets_its_id_from_the_header_or_the_cursor_and_its_time_from_the_log() -> None:
    frame = shown(stored(b' {"id":5,"timestamp":false,"cursor":"forged","topic":{}} \n'))
    assert frame == {
        "topic": "chat_s1",
        "cursor": "Rk3f-120",
        "subject": "chat.s1.message",
        "event_type": "chat.message",
        "payload": {"id": 5, "timestamp": False, "cursor": "forged", "topic": {}},
        "id": "Rk3f-120",
        "timestamp": TIME.decode(),
    }
    assert shown(stored(b"{}", headers=b"NATS/1.0\r\nNats-Msg-Id: abc-1"))["id"] == "abc-1"
    # A header that JSON would have to escape is not believed.
    assert shown(stored(b"{}", headers=b'NATS/1.0\r\nNats-Msg-Id: a","x":"b'))["id"] == "Rk3f-120"


def test_what_a_body_lacks_is_added() -> None:
    frame = shown(stored(b'{"payload":{},"event_type":"chat.message","more":1}'))
    assert (frame["id"], frame["timestamp"], frame["more"]) == ("Rk3f-120", TIME.decode(), 1)


def test_a_notice_has_no_position() -> None:
    message = stored(b'{"text":"hi"}', b"system.all.notice")
    assert is_notice(message)
    assert not is_notice(stored(b"{}"))
    assert not is_notice(stored(b"{}", b"\xff"))
    assert not {"cursor", "prev"} & set(shown(message, 3))


POISON = (
    b"",
    b"plain text",
    b"[1]",
    b"null",
    b'"text"',
    b"{",
    b'{"a":NaN}',
    b'{"a":1}}',
    b'{"a":1} {"b":2}',
    b"\xff",
    b'{"a":"\xff"}',
    b"\xef\xbb\xbf{}",
    b"{'a':1}",
    b'{"event_type":"chat.delta","payload":{}}',
    b'{"event_type":"chat.message"}',
    b'{"event_type":"chat.message","payload":[]}',
    b'{"event_type":"chat.message","payload":null}',
    b'{"event_type":5,"payload":{}}',
    b'{"event_type":"chat.message","payload":{},"cursor":"Rk3f-999"}',
    b'{"event_type":"chat.message","payload":{},"prev":"Rk3f-1"}',
    b'{"event_type":"chat.message","payload":{},"topic":"other"}',
    b'{"event_type":"chat.message","payload":{},"t\\u006fpic":"other"}',
    b'{"event_type":"chat.message","payload":{},"subject":null}',
    b'{"event_type":"chat.message","payload":{},"id":5}',
    b'{"event_type":"chat.message","payload":{},"timestamp":5}',
    b'{"a":"' + b"x" * MAX_BODY_BYTES + b'"}',
    b'{"a":' * 5_000,
    b"[" * 60_000,
)


@pytest.mark.parametrize("body", POISON, ids=[f"{i}: {body[:50]!r}" for i, body in enumerate(POISON)])
def test_what_is_no_event_is_poison_and_never_another_error(body: bytes) -> None:
    for prev in (None, 1):
        with pytest.raises(Poison) as refused:
            text_frame(event_text(b"chat_s1", stored(body), b"Rk3f-", prev, MAX_BODY_BYTES))
        assert str(refused.value)


@pytest.mark.parametrize(
    "subject",
    [
        b"mesh.epoch.RECORDS",
        b"chat.s1",
        b"chat.s1.message.a.b",
        b'chat.s1.mess"age',
        b'chat.s","x":"1.message',
        b"chat.\xd1\x81.message",
        b"chat.\xff.message",
        b"chat.s1.MESSAGE",
        b"chat..message",
        b"chat.%b.message" % (b"x" * 65),
        b"",
    ],
)
def test_a_hostile_subject_is_poison(subject: bytes) -> None:
    with pytest.raises(Poison):
        text_frame(event_text(b"events", stored(b"{}", subject), b"Rk3f-", None, MAX_BODY_BYTES))


KEYS = st.sampled_from((*OURS, "event_type", "payload", "id", "timestamp", "source", "a")) | st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
SPACE = st.text(" \t\r\n", max_size=3)


@given(
    members=st.lists(st.tuples(KEYS, VALUES), max_size=6),
    space=SPACE,
    ascii_only=st.booleans(),
    prev=st.none() | st.integers(0, 119),
)
def test_any_object_is_shown_as_one_or_poison(
    members: list[tuple[str, Any]], space: str, ascii_only: bool, prev: int | None
) -> None:
    pairs = [f"{json.dumps(key)}{space}:{json.dumps(value, ensure_ascii=ascii_only)}" for key, value in members]
    body = f"{space}{{{space}{','.join(pairs)}{space}}}{space}"
    try:
        encoded = body.encode()
    except UnicodeEncodeError:
        return
    try:
        frame = shown(stored(encoded), prev)
    except Poison:
        return
    assert frame["topic"] == "chat_s1"
    assert frame["cursor"] == "Rk3f-120"
    assert frame.get("prev") == (None if prev is None else f"Rk3f-{prev}")
    assert frame["subject"] == "chat.s1.message"
    assert frame["event_type"] == "chat.message"
    assert isinstance(frame["payload"], dict)
    assert isinstance(frame["id"], str)
    assert isinstance(frame["timestamp"], str)


@given(payload=st.dictionaries(KEYS, VALUES, max_size=5))
def test_a_payload_comes_through_as_it_is(payload: dict[str, Any]) -> None:
    for body in ({"event_type": "chat.message", "payload": payload}, payload):
        if body is payload and "event_type" in payload:
            continue
        assert shown(stored(json.dumps(body).encode()))["payload"] == payload


@given(body=st.binary(max_size=200))
def test_any_bytes_are_an_event_or_poison(body: bytes) -> None:
    with contextlib.suppress(Poison):
        assert shown(stored(body))["cursor"] == "Rk3f-120"


def test_the_edges_own_frames_are_json() -> None:
    frame = payload_of(control_frame("error", payload={"message": 'a "b" \n é'}))
    assert json.loads(frame) == {"event_type": "error", "payload": {"message": 'a "b" \n é'}}
