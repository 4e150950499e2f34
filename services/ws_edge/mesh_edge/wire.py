"""How JSON objects travel to a client: as text frames of a WebSocket, or as server-sent events."""

from __future__ import annotations

import re
from typing import Protocol

from mesh_edge.frames import text_frame

_line_end = re.compile(rb"\r\n|\r|\n")


class Wire(Protocol):
    """One way for all that a topic shows; the same bytes go to all of its readers."""

    def event(self, text: bytes, place: str) -> bytes:
        """An event; ``place`` is the complete position after it, such as ``Rk3f-120.Sp9a-88``."""

    def control(self, text: bytes, place: str = "") -> bytes:
        """What the edge says itself; with the position to go on from, where it tells one."""

    def come_back(self, text: bytes, after_ms: int) -> bytes:
        """What tells a client to connect again after some milliseconds, and is said in ``text`` too."""


class _Frames:
    """RFC 6455. Positions are in the objects themselves."""

    def event(self, text: bytes, place: str) -> bytes:  # noqa: ARG002 - the text has its own cursor
        return text_frame(text)

    def control(self, text: bytes, place: str = "") -> bytes:  # noqa: ARG002 - as above
        return text_frame(text)

    def come_back(self, text: bytes, after_ms: int) -> bytes:  # noqa: ARG002 - as above
        return text_frame(text)


class _EventStream:
    """The HTML standard, section 9.2: what ``id`` says is what a browser gives back as ``Last-Event-ID``."""

    def event(self, text: bytes, place: str) -> bytes:
        return b"id: %b\n%b" % (place.encode(), _data(text))

    def control(self, text: bytes, place: str = "") -> bytes:
        return self.event(text, place) if place else _data(text)

    def come_back(self, text: bytes, after_ms: int) -> bytes:
        return b"retry: %d\n%b" % (after_ms, _data(text))


def _data(text: bytes) -> bytes:
    """JSON may be spread over lines; those are joined again by the browser."""
    return b"data: %b\n\n" % _line_end.sub(b"\ndata: ", text)


FRAMES: Wire = _Frames()
EVENT_STREAM: Wire = _EventStream()
