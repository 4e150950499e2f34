"""What the edge sends is RFC 6455, to the byte and to another implementation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import EXTERNAL_CLOSE_CODES, Frame
from websockets.protocol import CLIENT, Protocol

from mesh_edge import closing, frames

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "frames.json").read_text(encoding="utf-8"))


def read_by_another(data: bytes) -> Frame:
    """The one frame that `data` is to a client of the `websockets` library."""
    client = Protocol(CLIENT, max_size=None)
    client.receive_data(data)
    assert client.parser_exc is None
    [frame] = client.events_received()
    assert isinstance(frame, Frame)
    return frame


@pytest.mark.parametrize("vector", VECTORS["built"], ids=lambda vector: vector["name"])
def test_golden(vector: dict[str, Any]) -> None:
    text = vector["text"].encode()
    built = {
        "text": lambda: frames.text_frame(text),
        "ping": lambda: frames.ping_frame(text),
        "pong": lambda: frames.pong_frame(text),
        "close": lambda: frames.close_frame(vector["code"], vector["text"]),
    }[vector["kind"]]()
    assert built.hex() == vector["frame"]


@given(st.text())
def test_text_is_read_by_another(text: str) -> None:
    frame = read_by_another(frames.text_frame(text.encode()))
    assert (frame.opcode, bytes(frame.data), frame.fin) == (frames.TEXT, text.encode(), True)


@pytest.mark.parametrize("size", [0, 125, 126, 127, 65_535, 65_536, 65_537])
def test_lengths(size: int) -> None:
    payload = b"x" * size
    assert bytes(read_by_another(frames.frame_head(size) + payload).data) == payload
    assert frames.text_frame(payload) == frames.frame_head(size) + payload
    assert len(frames.frame_head(size)) == (2 if size <= 125 else 4 if size <= 65_535 else 10)


@given(st.binary(max_size=125))
def test_pings_and_pongs_are_read_by_another(payload: bytes) -> None:
    for build, opcode in ((frames.ping_frame, frames.PING), (frames.pong_frame, frames.PONG)):
        frame = read_by_another(build(payload))
        assert (frame.opcode, bytes(frame.data)) == (opcode, payload)


@pytest.mark.parametrize("build", [frames.ping_frame, frames.pong_frame])
def test_a_control_frame_has_room_for_125_bytes(build: Any) -> None:
    assert build() == build(b"")
    assert build(b"x" * 125)[2:] == b"x" * 125
    with pytest.raises(ValueError, match="at most 125 bytes, not 126"):
        build(b"x" * 126)


@given(st.integers(3000, 4999), st.text(max_size=200))
@example(4408, "x" * 123)
@example(4408, "x" * 124)
@example(4408, "\u03ba" * 62)
def test_a_reason_is_cut_between_characters(code: int, reason: str) -> None:
    client = Protocol(CLIENT)
    client.receive_data(frames.close_frame(code, reason))
    assert client.close_rcvd is not None
    assert client.close_rcvd.code == code
    told = client.close_rcvd.reason
    assert reason.startswith(told)
    assert told == reason if len(reason.encode()) <= 123 else 120 <= len(told.encode()) <= 123


def test_codes_that_travel_are_those_of_another() -> None:
    travelling = {code for code in range(6000) if frames.may_travel(code)}
    assert travelling == {int(code) for code in EXTERNAL_CLOSE_CODES} | set(range(3000, 5000))


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1006, 1015, 2999, 5000, 65_536])
def test_codes_that_never_travel(code: int) -> None:
    with pytest.raises(ValueError, match=f"close code {code} may not travel"):
        frames.close_frame(code)


def test_every_closing_fits_into_a_frame() -> None:
    for way in closing.CLOSINGS:
        frame = frames.close_frame(way.code, way.reason)
        assert frame[4:].decode() == way.reason
