"""What two parsers make of the same bytes of a client: the edge's own, and the `websockets` library's without I/O.

They agree on messages and verdict, with these differences, each of which is looked for:

- *The shortest length.* Ours refuses a length that is written in more bytes than it needs, as RFC 6455 section 5.2
  asks, and so any longer form in a control frame; theirs takes any form.
- *A close inside a fragmented message.* Ours takes it, since section 5.4 lets control frames in between fragments;
  theirs refuses it.
- *Small messages, large control frames.* Theirs counts a control frame against the limit on messages.
- *When.* Ours refuses a frame by its head, and text by its byte; theirs waits for the end of the frame, which is
  therefore sent to it. The verdict is the same.
- *Two faults in one frame.* Theirs looks at the size before the rest of the head, and at the reason of a close before
  its code.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Iterable
from typing import NamedTuple

from websockets.exceptions import PayloadTooBig
from websockets.frames import CTRL_OPCODES, Frame, Opcode
from websockets.frames import Close as WebsocketsClose
from websockets.protocol import SERVER, Protocol

from mesh_edge.frame_parser import Pending, parse
from mesh_edge.messages import Binary, Close, Message, Ping, Pong, ProtocolViolation, Text

ACCEPTED: frozenset[int | None] = frozenset({None})
_LONGEST_HEAD = 14
_IN_TEXT = "a text message is not UTF-8"
"""Tells the text of a message from the reason of a close, which may be of a code that is wrong too."""

_LENGTHS = {"a length is not in its shortest form", "a control frame is longer than 125 bytes"}


class Ours(NamedTuple):
    """What the edge's parser says."""

    messages: list[Message]
    violation: ProtocolViolation | None
    pending: Pending | None

    @property
    def code(self) -> int | None:
        """The close code of a refusal."""
        return self.violation.code if self.violation is not None else None


class Theirs(NamedTuple):
    """What the other one says."""

    messages: list[Message]
    refusal: Exception | None

    @property
    def codes(self) -> frozenset[int | None]:
        """The verdicts that agree with it: several where a frame may have two faults."""
        if self.refusal is None:
            return ACCEPTED
        if isinstance(self.refusal, PayloadTooBig):
            return frozenset({1009, 1002})
        if isinstance(self.refusal, UnicodeDecodeError):
            return frozenset({1007, 1002} if self.refusal.reason != _IN_TEXT else {1007})
        return frozenset({1002})


def ours(pieces: Iterable[bytes], limit_bytes: int) -> Ours:
    """Parse the pieces one after the other, as far as an edge would."""
    messages: list[Message] = []
    pending = None
    for piece in pieces:
        try:
            new, pending = parse(piece, pending, limit_bytes)
        except ProtocolViolation as violation:
            return Ours([*messages, *violation.before], violation, None)
        messages += new
        if new and isinstance(new[-1], Close):
            return Ours(messages, None, None)
    return Ours(messages, None, pending)


def theirs(data: bytes, limit_bytes: int) -> Theirs:
    """Parse with the `websockets` library, and decode text as its connections do: fragment by fragment."""
    server = Protocol(SERVER, max_size=limit_bytes)
    server.receive_data(data)
    messages: list[Message] = []
    opcode, payload, decoder = Opcode.TEXT, bytearray(), getincrementaldecoder("utf-8")()
    for frame in server.events_received():
        assert isinstance(frame, Frame)
        received = bytes(frame.data)
        if frame.opcode is Opcode.CLOSE:
            close = WebsocketsClose.parse(received)
            messages.append(Close(close.code, close.reason))
        elif frame.opcode in CTRL_OPCODES:
            messages.append(Ping(received) if frame.opcode is Opcode.PING else Pong(received))
        else:
            opcode = opcode if frame.opcode is Opcode.CONT else frame.opcode
            payload += received
            if opcode is Opcode.TEXT:
                try:
                    decoder.decode(received, frame.fin)
                except UnicodeDecodeError as refusal:
                    refusal.reason = _IN_TEXT
                    return Theirs(messages, refusal)
            if frame.fin:
                messages.append(Text(payload.decode()) if opcode is Opcode.TEXT else Binary(bytes(payload)))
                payload.clear()
    return Theirs(messages, server.parser_exc)


def disagreement(stream: bytes, limit_bytes: int) -> str | None:
    """What the two say of a stream, where that differs in any other way than this module tells."""
    mine = ours([stream], limit_bytes)
    to_its_end = bytes(limit_bytes + _LONGEST_HEAD) if mine.violation is not None else b""
    other = theirs(stream + to_its_end, limit_bytes)
    if mine.violation is not None and mine.violation.reason in _LENGTHS:
        agrees = other.messages[: len(mine.messages)] == mine.messages
    elif "incomplete fragmented message" in str(other.refusal):
        agrees = other.messages == mine.messages[:-1] and isinstance(mine.messages[-1], Close)
    elif isinstance(other.refusal, PayloadTooBig) and _is_control_sized(other.refusal):
        before = len(other.messages)
        after = mine.messages[before : before + 1]
        agrees = mine.messages[:before] == other.messages and not any(
            isinstance(message, Text | Binary) for message in after
        )
    else:
        agrees = other.messages == mine.messages and mine.code in other.codes
    return None if agrees else f"ours {mine.messages} {mine.violation!r}, theirs {other.messages} {other.refusal!r}"


def _is_control_sized(refusal: PayloadTooBig) -> bool:
    """Whether what was refused may be a control frame, for a message that fits."""
    return refusal.current_size is not None and refusal.size is not None and refusal.size <= 125
