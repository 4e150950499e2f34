"""Plain handshakes are read; whatever is not plain is left to uvicorn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_edge.handshake import accepting, read_handshake

PLAIN = [
    b"GET /ws/chat/s1?since=Rabc-1 HTTP/1.1",
    b"Host: 127.0.0.1",
    b"upgrade: WebSocket",
    b"Connection: keep-alive, Upgrade",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
]


def head(*more: bytes, without: int | None = None) -> bytes:
    lines = [line for number, line in enumerate(PLAIN) if number != without]
    return b"\r\n".join([*lines, *more])


def test_a_plain_one_is_read() -> None:
    found = read_handshake(head(b"X-One:  two three  ", b"Sec-WebSocket-Protocol: mesh.v1, bearer.a.b-c_d"))
    assert found is not None
    assert (found.path, found.query) == ("/ws/chat/s1", "since=Rabc-1")
    assert found.headers == {
        "host": "127.0.0.1",
        "upgrade": "WebSocket",
        "connection": "keep-alive, Upgrade",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "x-one": "two three",
        "sec-websocket-protocol": "mesh.v1, bearer.a.b-c_d",
    }


def test_a_query_may_be_encoded_and_is_left_as_it_is() -> None:
    found = read_handshake(b"\r\n".join([b"GET /ws?who=%C3%89va+A HTTP/1.1", *PLAIN[1:]]))
    assert found is not None
    assert (found.path, found.query) == ("/ws", "who=%C3%89va+A")


@pytest.mark.parametrize("without", range(2, len(PLAIN)))
def test_one_that_lacks_something_is_not_plain(without: int) -> None:
    assert read_handshake(head(without=without)) is None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"no colon",
        b"colon",
        b": no name",
        b"X y: a space in the name",
        b"X-Y : a space after the name",
        b" folded: or so",
        b"X: \xc3\xa9",
        b"X: a\tb",
        b"X: a\nb: c",
        b"X: a\rb",
        b"X: \x00",
        b"host: twice",
        b"Content-Length: 0",
        b"Transfer-Encoding: chunked",
        b"Expect: 100-continue",
        b"Sec-WebSocket-Protocol: ",
        b"Sec-WebSocket-Protocol: a,,b",
        b"Sec-WebSocket-Protocol: a b",
        b"X: " + b"x" * 8_192,
        b"\r\n".join(b"X-%d: y" % number for number in range(70)),
    ],
)
def test_what_is_odd_in_a_header_is_left_to_uvicorn(line: bytes) -> None:
    assert read_handshake(head(line)) is None


@pytest.mark.parametrize(
    "first",
    [
        b"POST /ws/chat/s1 HTTP/1.1",
        b"GET /ws/chat/s1 HTTP/1.0",
        b"GET  /ws/chat/s1 HTTP/1.1",
        b"GET /ws/chat/s1  HTTP/1.1",
        b"GET ws/chat/s1 HTTP/1.1",
        b"GET http://x/ws/chat/s1 HTTP/1.1",
        b"GET /ws/chat/%73 HTTP/1.1",
        b"GET /ws/chat/s1#x HTTP/1.1",
        b"GET /ws/chat/s1?since=<x> HTTP/1.1",
        b"GET /ws/chat/s1?a=b?c HTTP/1.1",
        b"",
    ],
)
def test_an_odd_request_line_too(first: bytes) -> None:
    assert read_handshake(b"\r\n".join([first, *PLAIN[1:]])) is None


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (2, b"Upgrade: websocket, h2c"),
        (2, b"Upgrade: h2c"),
        (3, b"Connection: close"),
        (3, b"Connection: Upgrade, X"),
        (4, b"Sec-WebSocket-Version: 8"),
        (4, b"Sec-WebSocket-Version: 13, 8"),
        (5, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ="),
        (5, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"),
        (5, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTEx"),
        (5, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!=="),
    ],
)
def test_another_upgrade_too(number: int, line: bytes) -> None:
    assert read_handshake(head(line, without=number)) is None


@given(st.binary(max_size=200) | st.lists(st.sampled_from(PLAIN) | st.binary(max_size=20)).map(b"\r\n".join))
def test_no_bytes_break_it(data: bytes) -> None:
    read_handshake(data)


def test_the_answer_is_that_of_the_standard() -> None:
    """RFC 6455, section 1.3."""
    assert accepting("dGhlIHNhbXBsZSBub25jZQ==", "mesh.v1", [(b"date", b"now"), (b"server", b"us")]) == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"date: now\r\nserver: us\r\nsec-websocket-protocol: mesh.v1\r\n\r\n"
    )
