"""Parse the WebSocket frames of a client: RFC 6455, strict, incremental, without I/O.

An idle connection holds nothing: `parse` takes what the connection has begun and gives back what it has not
ended, and that is ``None`` between messages::

    pending = None
    while data := read():
        messages, pending = parse(data, pending, limit_bytes)

The split of the stream into reads changes neither the messages nor the verdict.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from typing import NamedTuple

from mesh_edge import closing
from mesh_edge.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    CONTROL_LIMIT_BYTES,
    FIN,
    MASKED,
    NO_STATUS,
    PING,
    PONG,
    TEXT,
    may_travel,
)
from mesh_edge.messages import (
    Binary,
    Close,
    Message,
    Ping,
    Pong,
    ProtocolViolation,
    Text,
    malformed,
    not_utf8,
)

DEFAULT_LIMIT_BYTES = 64 * 1024
_RESERVED_BITS = 0x70
_SHORT_HEAD = 6
_OPCODES = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
_Utf8Decoder = getincrementaldecoder("utf-8")


class _Head(NamedTuple):
    fin: bool
    opcode: int
    size_bytes: int
    key: bytes
    end: int


class Pending:
    """What one connection has begun and not ended: a head, a control frame, or a message."""

    __slots__ = ("decoder", "fin", "key", "left_bytes", "opcode", "payload", "unread")

    def __init__(self) -> None:
        # Less than a head and a control frame, 14 + 125 bytes.
        self.unread = b""
        # The message: its opcode, or CONTINUATION where there is none, and what came of it.
        self.opcode = CONTINUATION
        self.payload = bytearray()
        self.decoder = _Utf8Decoder()
        # The data frame at hand: how much of it is yet to come, None where there is none.
        self.left_bytes: int | None = None
        self.key = b""
        self.fin = False

    @property
    def ended(self) -> bool:
        """Whether the connection is between messages, and this object can go."""
        return self.opcode == CONTINUATION and not self.unread

    def read(self, data: bytes, messages: list[Message], limit_bytes: int) -> None:
        """Take `data` and add what it completes to `messages`; see `parse`."""
        if self.unread:
            data, self.unread = self.unread + data, b""
        at = 0
        while True:
            if self.left_bytes is not None:
                at = self._read_payload(data, at, self.left_bytes, messages)
                if self.left_bytes is not None:
                    return
            head = _read_head(data, at, limit_bytes - len(self.payload))
            if head is None:
                self.unread = data[at:]
                return
            if head.opcode >= CLOSE:
                end = head.end + head.size_bytes
                if len(data) < end:
                    self.unread = data[at:]
                    return
                message = _control_message(head.opcode, unmask(data[head.end : end], head.key))
                messages.append(message)
                if isinstance(message, Close):
                    return
                at = end
            else:
                self._begin_frame(head)
                at = head.end

    def _begin_frame(self, head: _Head) -> None:
        if head.opcode == CONTINUATION and self.opcode == CONTINUATION:
            raise malformed("a continuation of no message")
        if head.opcode != CONTINUATION:
            if self.opcode != CONTINUATION:
                raise malformed("a message begins inside another")
            self.opcode = head.opcode
        self.left_bytes, self.key, self.fin = head.size_bytes, head.key, head.fin

    def _read_payload(self, data: bytes, at: int, left_bytes: int, messages: list[Message]) -> int:
        """Take what `data` has of the data frame at hand, and give back where it ends."""
        piece = data[at : at + left_bytes]
        size_bytes = len(piece)
        ends_frame = size_bytes == left_bytes
        ends = ends_frame and self.fin
        piece = unmask(piece, self.key)
        whole = ends and not self.payload
        if self.opcode == TEXT:
            try:
                # Bytes are kept, not characters: pieces of one character each would cost 20 times the limit.
                text = self.decoder.decode(piece, ends)
            except UnicodeDecodeError:
                raise not_utf8() from None
        if not whole:
            self.payload += piece
        if not ends_frame:
            turn = size_bytes % 4
            self.key = self.key[turn:] + self.key[:turn]
            self.left_bytes = left_bytes - size_bytes
            return at + size_bytes
        self.left_bytes = None
        if ends:
            if self.opcode == TEXT:
                messages.append(Text(text if whole else self.payload.decode()))
            else:
                messages.append(Binary(piece if whole else bytes(self.payload)))
            self.opcode = CONTINUATION
            self.payload = bytearray()
        return at + size_bytes


def parse(
    data: bytes, pending: Pending | None = None, limit_bytes: int = DEFAULT_LIMIT_BYTES
) -> tuple[list[Message], Pending | None]:
    """Take what came from a client.

    Args:
        data: the next bytes of the connection, any number of them.
        pending: what the call before gave back; ``None`` at first.
        limit_bytes: the largest message, counted over its fragments; refused from the head that exceeds it.

    Returns:
        The messages that `data` completes, in order, and what it leaves begun: ``None`` between messages.
        After a `Close`, which comes last, there is nothing to read any more.

    Raises:
        ProtocolViolation: the client broke RFC 6455 or the limit; `before` has the messages until then.
    """
    if pending is None:
        # Nearly all that clients send: one short text message in one frame in one read.
        size_bytes = len(data) - _SHORT_HEAD
        if (
            0 <= size_bytes <= CONTROL_LIMIT_BYTES
            and size_bytes <= limit_bytes
            and data[0] == FIN | TEXT
            and data[1] == MASKED | size_bytes
        ):
            try:
                return [Text(unmask(data[_SHORT_HEAD:], data[2:_SHORT_HEAD]).decode())], None
            except UnicodeDecodeError:
                raise not_utf8() from None
        pending = Pending()
    messages: list[Message] = []
    try:
        pending.read(data, messages, limit_bytes)
    except ProtocolViolation as violation:
        violation.before = tuple(messages)
        raise
    if pending.ended or (messages and isinstance(messages[-1], Close)):
        return messages, None
    return messages, pending


def unmask(payload: bytes, key: bytes) -> bytes:
    """XOR `payload` with the repeated four bytes of `key`, RFC 6455 section 5.3, as one large number."""
    size_bytes = len(payload)
    mask = (key * (size_bytes // 4 + 1))[:size_bytes]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(mask, "little")).to_bytes(size_bytes, "little")


def _read_head(data: bytes, at: int, room_bytes: int) -> _Head | None:
    """The head of the frame that begins at `at`, ``None`` where it is not all there.

    Each of its parts is judged as soon as it is there; `room_bytes` is what a data frame may bring.
    """
    there = len(data) - at
    if there < 2:
        return None
    first, second = data[at], data[at + 1]
    _check_first_two(first, second)
    opcode, size_bytes, length_end = first & 0x0F, second & 0x7F, at + 2
    if size_bytes > CONTROL_LIMIT_BYTES:
        width = 2 if size_bytes == 126 else 8
        if there < 2 + width:
            return None
        length_end += width
        size_bytes = int.from_bytes(data[at + 2 : length_end], "big")
        if size_bytes >> 63:
            raise malformed("the highest bit of a length is set")
        if size_bytes <= (CONTROL_LIMIT_BYTES if width == 2 else 0xFFFF):
            raise malformed("a length is not in its shortest form")
    if opcode < CLOSE and size_bytes > room_bytes:
        raise ProtocolViolation(closing.TOO_BIG.code, closing.TOO_BIG.reason)
    key = data[length_end : length_end + 4]
    return _Head(bool(first & FIN), opcode, size_bytes, key, length_end + 4) if len(key) == 4 else None


def _check_first_two(first: int, second: int) -> None:
    opcode = first & 0x0F
    if first & _RESERVED_BITS:
        raise malformed("a reserved bit is set")
    if opcode not in _OPCODES:
        raise malformed(f"opcode {opcode} is not known")
    if not second & MASKED:
        raise malformed("a frame is not masked")
    if opcode >= CLOSE and not first & FIN:
        raise malformed("a control frame is fragmented")
    if opcode >= CLOSE and second & 0x7F > CONTROL_LIMIT_BYTES:
        raise malformed("a control frame is longer than 125 bytes")


def _control_message(opcode: int, payload: bytes) -> Ping | Pong | Close:
    if opcode == PING:
        return Ping(payload)
    if opcode == PONG:
        return Pong(payload)
    if not payload:
        return Close(NO_STATUS, "")
    if len(payload) == 1:
        raise malformed("a close frame has half a code")
    code = int.from_bytes(payload[:2], "big")
    if not may_travel(code):
        raise malformed(f"close code {code} may not travel")
    try:
        return Close(code, payload[2:].decode())
    except UnicodeDecodeError:
        raise not_utf8("the reason of a close frame is not UTF-8") from None
