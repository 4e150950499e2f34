"""What clients send is parsed strictly, however it is cut, and as another implementation does."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from mesh_edge.frame_parser import parse, unmask
from mesh_edge.messages import Binary, Close, Message, Ping, Pong, ProtocolViolation, Text
from tests.support.second_opinion import disagreement, ours

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "frames.json").read_text(encoding="utf-8"))
LIMIT = 300
KEY = bytes.fromhex("37fa213d")


def encoded(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A client's frame, made by the `websockets` library."""
    return Frame(Opcode(opcode), payload, fin).serialize(mask=True)


def head(first: int, size: int, *, width: int = 0, masked: bool = True) -> bytes:
    """A head as nobody should send it: any first byte, `size` in 7 bits or in `width` bytes."""
    marker = {0: size, 2: 126, 8: 127}[width]
    length = size.to_bytes(width, "big") if width else b""
    return bytes((first, marker | (0x80 if masked else 0))) + length + (KEY if masked else b"")


payloads = st.one_of(
    st.text(max_size=60).map(str.encode),
    st.binary(max_size=40),
    st.sampled_from([b"", b"x" * 125, b"x" * 126, b"x" * LIMIT, b"x" * (LIMIT + 1), "κ".encode()[:1], b"\xbd"]),
    st.sampled_from([b"\x03\xe8", b"\x03\xe8bye", b"\x03\xe8\xff", b"\x03\xed", b"\x11\x31", b"\x13\x88"]),
)
valid_frames = st.one_of(
    st.builds(encoded, st.just(1), st.text(max_size=90).map(str.encode)),
    st.builds(encoded, st.just(2), st.binary(max_size=200)),
    st.builds(encoded, st.sampled_from([9, 10]), st.binary(max_size=125)),
)


@st.composite
def any_frame(draw: st.DrawFn) -> bytes:
    """A whole frame, its length in the shortest form, mostly right in all else."""
    payload = draw(payloads)
    mostly = st.integers(0, 9).map(lambda n: n == 0)
    opcode = draw(st.integers(0, 15) if draw(mostly) else st.sampled_from([0, 1, 1, 2, 8, 9, 10]))
    first = opcode | (0 if opcode < 8 and draw(st.booleans()) else 0x80)
    first |= draw(st.sampled_from([0x40, 0x20, 0x10])) if draw(mostly) else 0
    first ^= 0x80 if draw(mostly) else 0
    masked = not draw(mostly)
    size = len(payload)
    frame = head(first, size, width=0 if size < 126 else 2, masked=masked)
    return frame + (unmask(payload, KEY) if masked else payload)


@st.composite
def fragmented(draw: st.DrawFn) -> bytes:
    """A message in fragments, with control frames among them."""
    text = draw(st.text(max_size=60)).encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    stream = b""
    for number, piece in enumerate(pieces):
        stream += encoded(0 if number else 1, piece, fin=number == len(pieces) - 1)
        if draw(st.booleans()):
            stream += encoded(draw(st.sampled_from([9, 10])), draw(st.binary(max_size=20)))
    return stream


streams = st.one_of(
    st.lists(st.one_of(valid_frames, fragmented()), max_size=5).map(b"".join),
    st.lists(st.one_of(any_frame(), fragmented()), max_size=5).map(b"".join),
    st.binary(max_size=40),
)


@st.composite
def cut_streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    stream = draw(streams)
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    return stream, [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def as_messages(listed: list[list[Any]]) -> list[Message]:
    """Messages as the vectors write them."""
    make: dict[str, Callable[..., Message]] = {
        "text": Text,
        "binary": lambda payload: Binary(bytes.fromhex(payload)),
        "ping": lambda payload: Ping(bytes.fromhex(payload)),
        "pong": lambda payload: Pong(bytes.fromhex(payload)),
        "close": Close,
    }
    return [make[kind](*fields) for kind, *fields in listed]


def split_everywhere(data: bytes) -> list[list[bytes]]:
    return [
        [data],
        [data[i : i + 1] for i in range(len(data))],
        *([data[:i], data[i:]] for i in (1, 2, 5, 7)),
    ]


@pytest.mark.parametrize("vector", VECTORS["accepted"], ids=lambda vector: vector["name"])
def test_golden_accepted(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["data"])
    for pieces in split_everywhere(data):
        assert ours(pieces, 65_536) == (as_messages(vector["messages"]), None, None)
    assert disagreement(data, 65_536) is None


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: vector["name"])
def test_golden_refused(vector: dict[str, Any]) -> None:
    for pieces in split_everywhere(bytes.fromhex(vector["data"])):
        read = ours(pieces, 65_536)
        assert (read.messages, read.code) == (as_messages(vector["before"]), vector["code"])
    assert disagreement(bytes.fromhex(vector["data"]), 65_536) is None


@given(cut_streams())
def test_no_cut_changes_messages_or_verdict(cut: tuple[bytes, list[bytes]]) -> None:
    stream, pieces = cut
    whole, in_pieces = ours([stream], LIMIT), ours(pieces, LIMIT)
    assert (in_pieces.messages, str(in_pieces.violation)) == (whole.messages, str(whole.violation))
    assert (in_pieces.pending is None) == (whole.pending is None)


@given(st.lists(st.one_of(any_frame(), fragmented()), max_size=6).map(b"".join))
@example(encoded(1, b"\xce", fin=False) + encoded(9, b"p") + encoded(0, b"\xba"))
@example(encoded(1, b"x" * LIMIT, fin=False) + encoded(9, b"p") + encoded(0))
@example(encoded(1, b"never ends", fin=False) + encoded(8))
def test_whole_frames_are_judged_as_another_does(stream: bytes) -> None:
    assert disagreement(stream, LIMIT) is None


@given(st.lists(st.one_of(valid_frames, fragmented()), min_size=1, max_size=4).map(b"".join), st.data())
def test_mutated_frames_are_judged_as_another_does(stream: bytes, data: st.DataObject) -> None:
    mutated = bytearray(stream)
    for _ in range(data.draw(st.integers(1, 3))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    assert disagreement(bytes(mutated), LIMIT) is None


@given(st.one_of(st.binary(max_size=400), streams), st.integers(0, 500))
def test_any_bytes_are_judged_as_another_does(stream: bytes, end: int) -> None:
    """Frames that end too early among them."""
    assert disagreement(stream[:end], LIMIT) is None


@pytest.mark.parametrize(("width", "size"), [(2, 0), (2, 125), (8, 0), (8, 125), (8, 65_535), (8, 1 << 63)])
def test_lengths_have_one_form(width: int, size: int) -> None:
    with pytest.raises(ProtocolViolation) as refused:
        parse(head(0x81, size, width=width))
    assert refused.value.code == 1002


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (head(0xC1, 0), "a reserved bit is set"),
        (head(0x83, 0), "opcode 3 is not known"),
        (head(0x81, 0, masked=False), "a frame is not masked"),
        (head(0x08, 0), "a control frame is fragmented"),
        (head(0x89, 126, width=2), "a control frame is longer than 125 bytes"),
        (head(0x88, 126, width=2), "a control frame is longer than 125 bytes"),
        (head(0x81, 1 << 63, width=8), "the highest bit of a length is set"),
        (head(0x81, 5, width=2), "a length is not in its shortest form"),
        (head(0x80, 0), "a continuation of no message"),
        (encoded(1, fin=False) + encoded(1), "a message begins inside another"),
        (encoded(8, b"\x03"), "a close frame has half a code"),
        (encoded(8, b"\x03\xed"), "close code 1005 may not travel"),
        (encoded(8, b"\x03\xe8\xff"), "the reason of a close frame is not UTF-8"),
        (encoded(1, b"\xff"), "a text message is not UTF-8"),
        (encoded(1, b"\xff" * 200), "a text message is not UTF-8"),
        (encoded(1, b"x" * 65_537), "a message is larger than this edge accepts"),
    ],
)
def test_each_violation_has_its_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(ProtocolViolation) as refused:
        parse(data)
    assert (str(refused.value), refused.value.reason) == (sentence, sentence)


def test_messages_before_a_violation_are_not_lost() -> None:
    with pytest.raises(ProtocolViolation) as refused:
        parse(encoded(1, b"kept") + encoded(9, b"too") + b"\xff\xff")
    assert refused.value.before == (Text("kept"), Ping(b"too"))


@pytest.mark.parametrize("limit", [0, 10, 125, 126, 300, 65_536])
@pytest.mark.parametrize("opcode", [1, 2])
def test_the_limit_is_exact(limit: int, opcode: int) -> None:
    kind = {1: lambda payload: Text(payload.decode()), 2: Binary}[opcode]
    assert parse(encoded(opcode, b"x" * limit), None, limit) == ([kind(b"x" * limit)], None)
    half = limit // 2
    fragments = encoded(opcode, b"x" * half, fin=False) + encoded(0, b"x" * (limit - half))
    assert parse(fragments, None, limit) == ([kind(b"x" * limit)], None)
    too_big = encoded(opcode, b"x" * half, fin=False) + encoded(0, b"x" * (limit - half + 1))
    for data in (encoded(opcode, b"x" * (limit + 1)), too_big):
        with pytest.raises(ProtocolViolation) as refused:
            parse(data, None, limit)
        assert refused.value.code == 1009


def test_too_big_is_refused_at_the_head() -> None:
    """Even before its key."""
    for size, width in ((1 << 62, 8), (301, 2)):
        with pytest.raises(ProtocolViolation) as refused:
            parse(head(0x82, size, width=width)[:-4], None, LIMIT)
        assert refused.value.code == 1009


def test_a_limit_on_messages_does_not_stop_control_frames() -> None:
    assert parse(encoded(9, b"x" * 125), None, 10) == ([Ping(b"x" * 125)], None)
    assert parse(encoded(8, b"\x03\xe8" + b"x" * 123), None, 10) == ([Close(1000, "x" * 123)], None)


@pytest.mark.parametrize("more", [b"\x81", b"\x8a\x80", encoded(9)[:-1]])
def test_a_lone_message_is_told_from_one_that_is_followed(more: bytes) -> None:
    messages, pending = parse(encoded(1, b"alone") + more)
    assert messages == [Text("alone")]
    assert pending is not None
    assert pending.unread == more


@pytest.mark.parametrize("size", range(4))
def test_a_lone_message_is_told_from_its_lookalikes(size: int) -> None:
    """A head that is wrong, or of another message, with payload that looks like a right one."""
    for first, second in ((0x81, size), (0x01, 0x80 | size), (0x82, 0x80 | size), (0x81, 0x80 | (size + 5))):
        lookalike = bytes((first, second, 0x80 | size)) + b"\x80" * (3 + size)
        whole, cut = ours([lookalike], LIMIT), ours([lookalike[:1], lookalike[1:]], LIMIT)
        assert (whole.messages, str(whole.violation)) == (cut.messages, str(cut.violation))


def test_a_key_goes_on_after_any_cut() -> None:
    text = "".join(map(chr, range(0x400, 0x420)))
    data = encoded(1, text.encode())
    for cut in range(len(data)):
        assert ours([data[:cut], data[cut:]], LIMIT) == ([Text(text)], None, None)


@pytest.mark.parametrize("bad", [b"\xff", b"\xc0", b"\xf4\x90", b"\xed\xa0\x80", b"\xe0\x80"])
def test_bad_text_is_refused_at_its_byte(bad: bytes) -> None:
    """Not at the end of the frame, nor of the message: a client that never ends it learns at once."""
    whole = head(0x01, 100) + unmask(b"ok" + bad, KEY)
    messages, pending = parse(whole[:-1])
    assert (messages, pending is None) == ([], False)
    with pytest.raises(ProtocolViolation) as refused:
        parse(whole[-1:], pending)
    assert refused.value.code == 1007


def test_binary_is_not_text() -> None:
    assert parse(encoded(2, b"\xff", fin=False) + encoded(0, b"\xfe")) == ([Binary(b"\xff\xfe")], None)


@given(st.lists(st.one_of(valid_frames, fragmented()), max_size=4).map(b"".join))
def test_nothing_is_held_between_messages(stream: bytes) -> None:
    assert ours([stream], LIMIT).pending is None


def test_a_close_may_stand_inside_a_fragmented_message() -> None:
    assert parse(encoded(1, b"never ends", fin=False) + encoded(8)) == ([Close(1005, "")], None)


def test_nothing_comes_of_nothing() -> None:
    assert parse(b"") == ([], None)


def test_fragments_cost_their_bytes() -> None:
    """A message of single characters, and of empty fragments without end, must not grow beyond its limit."""
    character = "\U0001f701".encode()
    first, then, empty = (
        encoded(1, character, fin=False),
        encoded(0, character, fin=False),
        encoded(0, fin=False) * 1000,
    )
    tracemalloc.start()
    try:
        _, pending = parse(first)
        for _ in range(65_536 // 4 - 1):
            _, pending = parse(then, pending)
        for _ in range(20):
            _, pending = parse(empty, pending)
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_bytes < 3 * 65_536
    messages, pending = parse(encoded(0), pending)
    assert (messages, pending) == ([Text("\U0001f701" * (65_536 // 4))], None)


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_unmasking_is_its_own_inverse_and_what_the_rfc_says(payload: bytes, key: bytes) -> None:
    masked = unmask(payload, key)
    assert masked == bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
    assert unmask(masked, key) == payload
