"""Build the WebSocket frames of a server: RFC 6455, sections 5.2 and 5.5, never masked, never fragmented."""

from __future__ import annotations

CONTINUATION, TEXT, BINARY = 0x0, 0x1, 0x2
CLOSE, PING, PONG = 0x8, 0x9, 0xA

FIN = 0x80
MASKED = 0x80
CONTROL_LIMIT_BYTES = 125
NO_STATUS = 1005
"""Stands for a close frame without a code, RFC 6455 section 7.1.5; it never travels."""

# IANA "WebSocket Close Code Number Registry": 1004 is reserved; 1005, 1006 and 1015 never travel.
_REGISTERED = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})


def may_travel(code: int) -> bool:
    """Whether a close frame may carry this code: RFC 6455 section 7.4 and the IANA registry."""
    return code in _REGISTERED or 3000 <= code <= 4999


def frame_head(size_bytes: int) -> bytes:
    """The head of a text frame whose payload of `size_bytes` follows it: 2, 4 or 10 bytes."""
    return _head(TEXT, size_bytes)


def text_frame(payload: bytes) -> bytes:
    """One text message in one frame.

    Args:
        payload: UTF-8; the caller vouches for it.
    """
    return frame_head(len(payload)) + payload


def ping_frame(payload: bytes = b"") -> bytes:
    """A ping, which a client answers with a pong of the same payload.

    Raises:
        ValueError: the payload is longer than 125 bytes.
    """
    return _control(PING, payload)


def pong_frame(payload: bytes = b"") -> bytes:
    """The answer to a ping.

    Args:
        payload: what the ping carried.

    Raises:
        ValueError: the payload is longer than 125 bytes.
    """
    return _control(PONG, payload)


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; to answer one of a client, give its own code back.

    Args:
        code: a code that may travel, or `NO_STATUS` for a frame without one.
        reason: cut to the whole characters that fit into 123 bytes of UTF-8.

    Raises:
        ValueError: no close frame may carry the code.
    """
    if code == NO_STATUS:
        return _control(CLOSE, b"")
    if not may_travel(code):
        msg = f"close code {code} may not travel in a close frame"
        raise ValueError(msg)
    text = reason.encode()[: CONTROL_LIMIT_BYTES - 2].decode(errors="ignore")
    return _control(CLOSE, code.to_bytes(2, "big") + text.encode())


def _control(opcode: int, payload: bytes) -> bytes:
    if len(payload) > CONTROL_LIMIT_BYTES:
        msg = f"a control frame carries at most {CONTROL_LIMIT_BYTES} bytes, not {len(payload)}"
        raise ValueError(msg)
    return _head(opcode, len(payload)) + payload


def _head(opcode: int, size_bytes: int) -> bytes:
    if size_bytes < 126:
        return bytes((FIN | opcode, size_bytes))
    if size_bytes < 1 << 16:
        return bytes((FIN | opcode, 126)) + size_bytes.to_bytes(2, "big")
    return bytes((FIN | opcode, 127)) + size_bytes.to_bytes(8, "big")
