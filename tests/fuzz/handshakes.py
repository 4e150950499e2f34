"""Handshakes, as the lean door reads them: what it takes, two others read in the same way."""

from __future__ import annotations

import contextlib

import httptools
from websockets.http11 import Request
from websockets.server import ServerProtocol

from mesh_edge.handshake import accepting, read_handshake

_END = b"\r\n\r\n"

_PLAIN = (
    b"GET /ws/chat/s1?since=Rk3f-120.Sp9a-88&types=chat.message HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n"
    b"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://127.0.0.1:8000"
)
_WITH_TOKEN = (
    b"GET /ws/events HTTP/1.1\r\nhost: localhost\r\nupgrade: WebSocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Sec-WebSocket-Protocol: mesh.v1, bearer.a.b.c\r\nCookie: a=b; c=d\r\nX-Forwarded-For: 192.0.2.1\r\nX-Other:"
)
_ODD = b"GET / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nHost: a\r\nHost: b\r\n folded: c"
SEEDS = [_PLAIN, _WITH_TOKEN, _ODD]


class _Reading:
    """What httptools calls back, as uvicorn has it."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[str, str]] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # It keeps white space at the end, which is no part of a value: RFC 9110 section 5.5.
        self.headers.append((name.decode("ascii").lower(), value.decode("ascii").rstrip(" ")))


def check(data: bytes) -> None:
    """The door leaves it to uvicorn, or reads what uvicorn and `websockets` read, and accepts as the latter does."""
    handshake = read_handshake(data)
    if handshake is None:
        return
    reading = _Reading()
    parser = httptools.HttpRequestParser(reading)
    with contextlib.suppress(httptools.HttpParserUpgrade):
        parser.feed_data(data + _END)
    assert (parser.get_method(), parser.get_http_version()) == (b"GET", "1.1")
    assert parser.should_upgrade()
    assert reading.url.decode() == handshake.path + ("?" + handshake.query if b"?" in reading.url else "")
    assert len(reading.headers) == len(handshake.headers)
    assert dict(reading.headers) == handshake.headers

    server = ServerProtocol()
    server.receive_data(data + _END)
    (request,) = server.events_received()
    assert isinstance(request, Request)
    response = server.accept(request)
    assert response.status_code == 101, response
    ours = accepting(handshake.headers["sec-websocket-key"], None, [])
    assert f"Sec-WebSocket-Accept: {response.headers['Sec-WebSocket-Accept']}\r\n".encode() in ours
