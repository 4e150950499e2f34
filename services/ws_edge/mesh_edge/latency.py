"""How old events are when they are written to sockets: one sample at the end of a turn, and nothing for a delivery."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from daena_mesh.histogram import Histogram

_MOST_BYTES = 4_096
"""A longer frame takes long to read."""
_PAUSE_S = 0.1


class _Stamped(msgspec.Struct):
    timestamp: Annotated[datetime, Meta(tz=True)]


_stamp_of = msgspec.json.Decoder(_Stamped).decode


class Latency:
    """From publishing, by the publisher's clock, to the write, by ours; ten samples a second at most."""

    __slots__ = ("_next", "histogram")

    def __init__(self) -> None:
        self.histogram = Histogram()
        self._next = 0.0

    def sample(self, frame: bytes, at: float) -> None:
        """``frame``, a whole WebSocket frame of the server's, was written; ``at`` is of `time.perf_counter`."""
        if at < self._next or not 2 < len(frame) <= _MOST_BYTES:
            return
        self._next = at + _PAUSE_S
        try:
            stamp = _stamp_of(memoryview(frame)[2 if frame[1] < 126 else 4 :]).timestamp
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return  # others may write times as they like
        self.histogram.note(time.time() - stamp.timestamp())
