from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daena_mesh import codec
from daena_mesh.errors import InvalidEvent
from daena_mesh.events import Event

SUBJECT = "agent.scout.activity"
TYPE = "agent.activity"
TIME = "2026-01-02T03:04:05.678901Z"
HEAD = b'{"topic":"events","cursor":"Sp9a-88","subject":"agent.scout.activity",'

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=5)
WHITE = st.text(" \t\r\n", max_size=4).map(str.encode)


def decode(body: bytes, msg_id: str | None = None) -> Event:
    return codec.decode(SUBJECT, body, cursor="Sp9a-88", time=TIME, msg_id=msg_id)


def splice(body: bytes) -> bytes:
    """Splice as an edge does with what `check` let pass."""
    envelope = codec.check(body, TYPE)
    return codec.splice(HEAD, body, envelope, event_type=TYPE.encode(), event_id=b"Sp9a-88", time=TIME.encode())


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def whole_number(digits: str) -> float:
    return int(digits) if len(digits) < 4_000 else float(digits)  # Python alone minds the length


def strictly(frame: bytes) -> tuple[dict[str, Any], list[str]]:
    """Read a frame as a browser would, and list its keys with those that it repeats."""
    keys: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        keys[:] = [key for key, _ in found]
        return dict(found)

    return json.loads(
        frame.decode(), object_pairs_hook=pairs, parse_constant=refuse_constant, parse_int=whole_number
    ), keys


@given(OBJECT, TEXT.filter(bool), st.none() | TEXT)
def test_what_was_encoded_is_decoded(payload: dict[str, Any], event_id: str, source: str | None) -> None:
    body = codec.encode(TYPE, payload, event_id=event_id, timestamp=TIME, source=source)
    event = decode(body)
    assert event.payload == payload
    assert (event.event_type, event.id, event.timestamp, event.source) == (TYPE, event_id, TIME, source)
    assert (event.subject, event.cursor) == (SUBJECT, "Sp9a-88")
    assert json.loads(body)["payload"] == payload


@given(WHITE, OBJECT, WHITE)
def test_an_object_without_a_type_is_the_payload(before: bytes, payload: dict[str, Any], after: bytes) -> None:
    payload.pop("event_type", None)
    body = before + json.dumps(payload, ensure_ascii=False).encode() + after
    event = decode(body)
    assert event.payload == payload
    assert (event.id, event.timestamp, event.source) == ("Sp9a-88", TIME, None)
    assert decode(body, msg_id="mine").id == "mine"
    frame, keys = strictly(splice(body))
    assert frame["payload"] == payload
    assert keys == ["topic", "cursor", "subject", "event_type", "payload", "id", "timestamp"]


@given(WHITE, OBJECT, st.sets(st.sampled_from(["id", "timestamp", "source"])), WHITE)
def test_a_spliced_frame_has_the_expected_members_and_no_others(
    before: bytes, payload: dict[str, Any], given_keys: set[str], after: bytes
) -> None:
    said = {"event_type": TYPE, "payload": payload, **{key: f"my {key}" for key in sorted(given_keys)}}
    frame, keys = strictly(splice(before + json.dumps(said).encode() + after))
    assert len(keys) == len(set(keys))
    assert set(keys) == {"topic", "cursor", "subject", "event_type", "payload", "id", "timestamp"} | given_keys
    assert frame == {
        "topic": "events",
        "cursor": "Sp9a-88",
        "subject": SUBJECT,
        "id": "Sp9a-88",
        "timestamp": TIME,
        **said,
    }


@pytest.mark.parametrize("key", ["cursor", "prev", "subject", "topic"])
@pytest.mark.parametrize(
    "spell", [lambda key: key, lambda key: f"\\u{ord(key[0]):04x}{key[1:]}"], ids=["plain", "escaped"]
)
def test_the_keys_of_the_edge_cannot_be_brought_along(key: str, spell: Any) -> None:
    for value in ('"Rk3f-1"', "null", "1", "0", "{}"):
        body = f'{{"event_type":"{TYPE}","payload":{{}},"{spell(key)}":{value}}}'.encode()
        with pytest.raises(codec.Poison):
            codec.check(body, TYPE)
    assert decode(f'{{"{spell(key)}":"mine"}}'.encode()).payload == {key: "mine"}


POISON = {
    "nothing": b"",
    "white space": b"  ",
    "plain text": b"hello",
    "a number": b"5",
    "a list": b"[1]",
    "a string": b'"x"',
    "null": b"null",
    "cut short": b'{"a":1',
    "two": b'{"a":1}{"b":2}',
    "a byte order mark": b'\xef\xbb\xbf{"a":1}',
    "latin 1": '{"a":"ä"}'.encode("latin-1"),
    "utf-16": '{"a":1}'.encode("utf-16"),
    "not a number": b'{"a":NaN}',
    "infinity": b'{"a":Infinity}',
    "a trailing comma": b'{"a":1,}',
    "single quotes": b"{'a':1}",
    "a raw line break in a string": b'{"a":"\n"}',
    "NUL": b'{"a":"\x00"}',
    "another type": b'{"event_type":"chat.message","payload":{}}',
    "a type that is none": b'{"event_type":null,"payload":{}}',
    "a type that is a number": b'{"event_type":5,"payload":{}}',
    "no payload": b'{"event_type":"agent.activity"}',
    "a payload that is a list": b'{"event_type":"agent.activity","payload":[]}',
    "a payload that is null": b'{"event_type":"agent.activity","payload": null}',
    "an id that is a number": b'{"event_type":"agent.activity","payload":{},"id":5}',
    "an id that is null": b'{"event_type":"agent.activity","payload":{},"id":null}',
    "a time that is a number": b'{"event_type":"agent.activity","payload":{},"timestamp":5}',
    "a lone surrogate": b'{"event_type":"agent.activity","payload":{"a":"\\ud800"}}',
    "a lone surrogate, bare": b'{"a":"\\ud800"}',
    "a payload with NaN": b'{"event_type":"agent.activity","payload":{"a":NaN}}',
    "a payload with a raw control character": b'{"event_type":"agent.activity","payload":{"a":"\x01"}}',
    "a payload with a leading zero": b'{"event_type":"agent.activity","payload":{"a":01}}',
    "a payload with half a number": b'{"event_type":"agent.activity","payload":{"a":1.}}',
    "a payload with a wrong escape": b'{"event_type":"agent.activity","payload":{"a":"\\x"}}',
    "too much": b'{"a":"' + b"x" * codec.MAX_BODY_BYTES + b'"}',
}


@pytest.mark.parametrize("body", POISON.values(), ids=POISON)
def test_poison_is_told(body: bytes) -> None:
    with pytest.raises(codec.Poison):
        decode(body)


# How deep msgspec reads is Python's to say: 3.13 reads more than 3.12, and 3.14 looks at the stack itself.
DEEP = {
    "enveloped": b'{"event_type":"agent.activity","payload":' + b'{"a":' * 9_000 + b"1" + b"}" * 9_001,
    "bare": b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
}


@pytest.mark.parametrize("body", DEEP.values(), ids=DEEP)
def test_a_depth_beyond_reason_is_read_or_poison(body: bytes) -> None:
    try:
        payload = decode(body).payload
    except codec.Poison:
        return
    assert list(payload) == ["a"]


@pytest.mark.parametrize("body", POISON.values(), ids=POISON)
def test_what_is_spliced_is_json_all_the_same(body: bytes) -> None:
    try:
        frame = splice(body)
    except codec.Poison:
        return
    strictly(frame)


PIECES = [
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"',
        b" ",
        b"\\",
        b"\\u0063",
        b"\\ud800",
        b"\x00",
        b"\x1f",
        b"\xff",
        b"\xc3\xa4",
    ),
    *(b"0", b"1", b"-", b".", b"e", b"1e999", b"9" * 40, b"null", b"true", b"NaN", b'"a"', b'"a":1', b'{"a":1}'),
    *(
        b'"event_type":"agent.activity"',
        b'"event_type"',
        b'"payload":{}',
        b'"payload":',
        b'"cursor"',
        b'"id":"x"',
        b'"id":1',
    ),
]
BYTES = st.binary(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join)


@given(BYTES)
@example(b'{"event_type":"agent.activity","payload":{},"payload":[]}')
@example(b'{"event_type":"agent.activity","event_type":"x.y","payload":{}}')
@example(b'{"event_type":"agent.activity","payload":{"n":1e999}}')
@example(b'{"n":-}')
@example(b'{"n":' + b"9" * 5_000 + b"}")
def test_whatever_arrives_is_an_event_or_poison(body: bytes) -> None:
    try:
        event = decode(body)
    except codec.Poison as error:
        refusal = str(error)
    else:
        assert event.event_type == TYPE
        assert isinstance(event.payload, dict)
        frame, _ = strictly(splice(body))
        assert (frame["event_type"], frame["id"], frame["timestamp"]) == (TYPE, event.id, event.timestamp)
        assert frame["cursor"] == "Sp9a-88"
        return
    assert len(refusal) < 500
    try:
        frame_bytes = splice(body)
    except codec.Poison:
        return
    strictly(frame_bytes)


def test_a_repeated_key_means_the_same_to_all_readers() -> None:
    body = b'{"event_type":"agent.activity","payload":{"a":1},"payload":{"a":2},"id":"one","id":"two"}'
    frame, _ = strictly(splice(body))
    event = decode(body)
    assert frame["payload"] == event.payload == {"a": 2}
    assert frame["id"] == event.id == "two"


@pytest.mark.parametrize(
    "payload",
    [{"a": object()}, {"a": "\ud800"}, {(1, 2): 3}, {"a": {1j}}],
    ids=["no JSON", "lone surrogate", "strange key", "complex"],
)
def test_what_cannot_be_json_is_refused(payload: Any) -> None:
    with pytest.raises(InvalidEvent, match=r"the payload of agent\.activity cannot be written as JSON"):
        codec.encode(TYPE, payload, event_id="1", timestamp=TIME)


def test_a_payload_that_contains_itself_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["itself"] = endless
    with pytest.raises(InvalidEvent, match="cannot be written as JSON"):
        codec.encode(TYPE, endless, event_id="1", timestamp=TIME)


@pytest.mark.parametrize("payload", [None, [], "text", 5])
def test_a_payload_that_is_no_object_is_refused(payload: Any) -> None:
    with pytest.raises(InvalidEvent, match="must be a JSON object, not"):
        codec.encode(TYPE, payload, event_id="1", timestamp=TIME)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**64, -(2**200)], ids=str)
def test_what_is_encoded_can_be_decoded(value: float) -> None:
    try:
        body = codec.encode(TYPE, {"value": value}, event_id="1", timestamp=TIME)
    except InvalidEvent:
        return
    assert set(decode(body).payload) == {"value"}
    strictly(splice(body))


def test_the_limit_is_exact_and_named() -> None:
    body = codec.encode(TYPE, {"a": "x"}, event_id="1", timestamp=TIME)
    codec.encode(TYPE, {"a": "x"}, event_id="1", timestamp=TIME, most_bytes=len(body))
    codec.check(body, TYPE, len(body))
    with pytest.raises(InvalidEvent, match="MESH_MAX_BODY_BYTES"):
        codec.encode(TYPE, {"a": "x"}, event_id="1", timestamp=TIME, most_bytes=len(body) - 1)
    with pytest.raises(codec.Poison):
        codec.check(body, TYPE, len(body) - 1)
