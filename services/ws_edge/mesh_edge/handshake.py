"""A plain WebSocket handshake (RFC 6455 section 4), read from its bytes; whatever is not plain is for uvicorn to judge.

What is read here would be read alike by uvicorn: one spelling of each thing, nothing twice, no body, ASCII.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha1
from typing import NamedTuple

MOST_BYTES = 8_192
_MOST_HEADERS = 64
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT = bytes(range(0x20, 0x7F)) + b"\r\n"
_is_target = re.compile(r"/[A-Za-z0-9_./~-]*(?:\?[A-Za-z0-9_.~=&,%+-]*)?").fullmatch
_is_name = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+").fullmatch
_is_key = re.compile(r"[A-Za-z0-9+/]{22}==").fullmatch
_are_protocols = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?:, ?[A-Za-z0-9!#$%&'*+.^_`|~-]+)*").fullmatch
_UPGRADES = frozenset({"upgrade", "keep-alive, upgrade", "upgrade, keep-alive"})
_NOT_PLAIN = frozenset({"content-length", "transfer-encoding", "expect", "trailer"})
_KNOWN = (
    *("Host", "Connection", "Upgrade", "Origin", "User-Agent", "Cookie", "Authorization", "Accept", "Pragma"),
    *("Cache-Control", "Accept-Encoding", "Accept-Language", "Sec-WebSocket-Key", "Sec-WebSocket-Version"),
    *("Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP"),
    *("Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site"),
)
_NAMES = {spelled: name.lower() for name in _KNOWN for spelled in (name, name.lower())}


class Handshake(NamedTuple):
    """What a client asks for."""

    path: str
    query: str
    headers: dict[str, str]
    """By their names in lower case."""


def read_handshake(head: bytes) -> Handshake | None:
    """Read a head, up to and without the empty line that ends it; None where it is not plain."""
    if len(head) > MOST_BYTES or head.translate(None, _TEXT):
        return None
    first, *lines = head.decode("ascii").split("\r\n")
    if head.count(b"\r") != len(lines) or head.count(b"\n") != len(lines) or len(lines) > _MOST_HEADERS:
        return None
    target = first[4:-9]
    if first[:4] != "GET " or first[-9:] != " HTTP/1.1" or not _is_target(target):
        return None
    headers: dict[str, str] = {}
    for line in lines:
        spelled, colon, value = line.partition(":")
        name = colon and (_NAMES.get(spelled) or (spelled.lower() if _is_name(spelled) else ""))
        headers[name] = value.strip(" ")
    if len(headers) != len(lines) or "" in headers or not _NOT_PLAIN.isdisjoint(headers) or not _is_plain(headers):
        return None
    path, _, query = target.partition("?")
    return Handshake(path, query, headers)


def _is_plain(headers: dict[str, str]) -> bool:
    get = headers.get
    protocols = get("sec-websocket-protocol")
    return (
        get("upgrade", "").lower() == "websocket"
        and get("connection", "").lower() in _UPGRADES
        and get("sec-websocket-version") == "13"
        and _is_key(get("sec-websocket-key", "")) is not None
        and (protocols is None or _are_protocols(protocols) is not None)
    )


def accepting(key: str, protocol: str | None, more: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The answer that accepts: RFC 6455 section 4.2.2; ``more`` are headers of the server."""
    accept = b64encode(sha1(key.encode() + _GUID, usedforsecurity=False).digest())
    chosen = b"" if protocol is None else b"sec-websocket-protocol: %b\r\n" % protocol.encode()
    return b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%b%b%b\r\n" % (
        b"Sec-WebSocket-Accept: %b\r\n" % accept,
        b"".join([b"%b: %b\r\n" % header for header in more]),
        chosen,
    )
