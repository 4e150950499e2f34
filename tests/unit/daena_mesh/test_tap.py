from __future__ import annotations

import asyncio
import itertools
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.tap import Tap

Delivery = tuple[bytes, bytes, bytes, bytes]

HEADERS = b"NATS/1.0\r\nNats-Msg-Id: 1\r\n\r\n"
WORD = st.sampled_from([b"live.chat.s1.message", b"_INBOX.x.1", b"a", b"MSG", b"HMSG"])
# Bodies that look like the protocol itself.
BODY = st.binary(max_size=30) | st.sampled_from(
    [b"", b"\r\n", b"MSG a L1 5\r\n", b"PING\r\n", b"HMSG x L1 1 2\r\n", b"\r\n" * 9]
)


class Inner(asyncio.StreamReaderProtocol):
    """Stands for nats-py's side, and keeps what it is given."""

    def __init__(self) -> None:
        self.data = b""
        self.calls: list[str] = []

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("connection_lost")

    def pause_writing(self) -> None:
        self.calls.append("pause_writing")

    def resume_writing(self) -> None:
        self.calls.append("resume_writing")

    def eof_received(self) -> bool:
        self.calls.append("eof_received")
        return True

    def __del__(self) -> None:
        """Nothing was opened."""


@st.composite
def wires(draw: st.DrawFn) -> tuple[bytes, list[Delivery], bytes]:
    """Draw what a server sends, what of it is ours, and the rest."""
    wire, rest = b"", b""
    ours: list[Delivery] = []
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(["msg", "hmsg", "line"]))
        subject, body, sid = draw(WORD), draw(BODY), draw(st.sampled_from([b"L1", b"L2", b"Lgone", b"1", b"27"]))
        reply = draw(st.sampled_from([b"", b"_INBOX.r"]))
        middle = b" ".join(part for part in (subject, sid, reply) if part)
        headers = HEADERS if kind == "hmsg" else b""
        if kind == "line":
            piece = draw(st.sampled_from([b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b"-ERR 'x'\r\n", b'INFO {"a":1}\r\n']))
        elif kind == "hmsg":
            piece = b"HMSG %b %d %d\r\n%b%b\r\n" % (middle, len(headers), len(headers) + len(body), headers, body)
        else:
            piece = b"MSG %b %d\r\n%b\r\n" % (middle, len(body), body)
        wire += piece
        if kind == "line" or not sid.startswith(b"L"):
            rest += piece
        elif sid != b"Lgone":
            ours.append((subject, reply, headers, body))
    return wire, ours, rest


@given(wires(), st.lists(st.integers(0, 400), max_size=20))
def test_however_the_stream_is_split_ours_are_delivered_and_the_rest_goes_on(
    wire: tuple[bytes, list[Delivery], bytes], cuts: list[int]
) -> None:
    sent, ours, rest = wire
    got: list[Delivery] = []
    turns: list[int] = []
    inner = Inner()

    def take(*message: bytes) -> None:
        got.append(message)  # type: ignore[arg-type]
        tap.after_turn(lambda: turns.append(len(got)))

    tap = Tap(inner, {b"L1": take, b"L2": take}, {}, lambda: None)
    borders = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    for start, end in itertools.pairwise(borders):
        tap.data_received(sent[start:end])
        assert turns[len(turns) :] == [] or turns[-1] == len(got)
    assert got == ours
    assert inner.data == rest
    assert len(turns) == len(got)


def test_byte_by_byte() -> None:
    got: list[bytes] = []
    inner = Inner()
    tap = Tap(inner, {b"L1": lambda _subject, _reply, headers, body: got.append(headers + body)}, {}, lambda: None)
    wire = b"PING\r\nHMSG a L1 %d %d\r\n%bhi\r\nMSG a 1 2\r\nhi\r\n" % (len(HEADERS), len(HEADERS) + 2, HEADERS)
    for i in range(len(wire)):
        tap.data_received(wire[i : i + 1])
    assert got == [HEADERS + b"hi"]
    assert inner.data == b"PING\r\nMSG a 1 2\r\nhi\r\n"


def test_what_is_left_for_the_end_of_a_turn_runs_after_all_that_came_with_it() -> None:
    order: list[str] = []

    def take(_subject: bytes, _reply: bytes, _headers: bytes, body: bytes) -> None:
        order.append(body.decode())
        tap.after_turn(lambda: order.append(f"after {body.decode()}"))

    tap = Tap(Inner(), {b"L1": take}, {}, lambda: None)
    tap.data_received(b"MSG a L1 1\r\n1\r\nMSG a L1 1\r\n2\r\nMSG a L1 1\r\n3")
    assert order == ["1", "2", "after 1", "after 2"]
    tap.data_received(b"\r\n")
    assert order[4:] == ["3", "after 3"]


def test_a_handler_that_fails_harms_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    got: list[bytes] = []

    def fail(subject: bytes, *_rest: bytes) -> None:
        tap.after_turn(lambda: fail_later(subject))
        raise ValueError(subject)

    def fail_later(subject: bytes) -> None:
        raise ValueError(subject)

    tap = Tap(Inner(), {b"L1": fail, b"L2": lambda *message: got.append(message[3])}, {}, lambda: None)
    with caplog.at_level(logging.ERROR, logger="daena_mesh.tap"):
        tap.data_received(b"MSG a L1 1\r\n1\r\nMSG a L2 1\r\n2\r\n")
        tap.data_received(b"MSG a L2 1\r\n3\r\n")
    assert got == [b"2", b"3"]
    assert len(caplog.records) == 2


def test_the_rest_of_the_protocol_reaches_nats_py() -> None:
    inner, lost = Inner(), []
    tap = Tap(inner, {}, {}, lambda: lost.append(True))
    tap.pause_writing()
    tap.resume_writing()
    assert tap.eof_received() is True
    tap.connection_lost(None)
    assert inner.calls == ["pause_writing", "resume_writing", "eof_received", "connection_lost"]
    assert lost == [True]
    assert tap.calls is inner.calls
