"""Clients: on a WebSocket of one topic or of many, or on server-sent events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tests.model.wires import Wire
from tests.model.witness import Broken, Witness

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Client:
    """A client, and what it has seen of each topic. It reads all that comes unless it stalls."""

    def __init__(self, wire: Wire, witnesses: Mapping[str, Witness]) -> None:
        self.wire = wire
        self.witnesses = dict(witnesses)
        self.has_left = False
        """It has unsubscribed from its first topic."""
        self.is_stalled = False
        self.is_gone = False
        self._rest = b""

    @property
    def witness(self) -> Witness:
        """Of its first topic."""
        return next(iter(self.witnesses.values()))

    def read(self, most: int | None = None) -> bool:
        """Take what has come; whether there was anything. Raises `Broken`."""
        data = self.wire.take(most)
        self._rest += data
        for text, place in self._texts():
            self._note(_decode(text), place)
        return data != b""

    def finish(self) -> None:
        """All is calm; raises `Broken`."""
        if self._rest:
            raise Broken(f"{self.witness.name} was given half a frame: {self._rest[:80]!r}")
        for witness in self.witnesses.values():
            witness.finish()

    def _note(self, frame: dict[str, Any], place: str) -> None:
        payload = frame.get("payload", {})
        topic = payload.get("connection_id") if frame["event_type"] == "connection" else frame.get("topic")
        if topic is not None:
            self.witnesses[topic].note(frame, place)
        elif frame["event_type"] != "connection":  # a socket of many topics is greeted without one
            raise Broken(f"{self.witness.name} is shown {frame}")

    def _texts(self) -> Iterator[tuple[bytes, str]]:
        while (frame := self._next()) is not None:
            opcode, payload = frame
            if opcode == 8:
                raise Broken(f"{self.witness.name} was closed: {payload!r}")
            if opcode == 1:
                yield payload, ""

    def _next(self) -> tuple[int, bytes] | None:
        """The next whole frame: RFC 6455, section 5.2, as servers write them."""
        data = self._rest
        if len(data) < 2:
            return None
        size, begin = data[1], 2
        if size >= 126:
            width = 2 if size == 126 else 8
            size, begin = int.from_bytes(data[2 : 2 + width], "big"), 2 + width
        if len(data) < begin + size:
            return None
        if data[0] not in {0x81, 0x88, 0x89, 0x8A}:
            raise Broken(f"{self.witness.name} cannot read {data[:40]!r}")
        self._rest = data[begin + size :]
        return data[0] & 0x0F, data[begin : begin + size]


class StreamClient(Client):
    """One of server-sent events: HTML standard, section 9.2."""

    def _texts(self) -> Iterator[tuple[bytes, str]]:
        *blocks, self._rest = self._rest.split(b"\n\n")
        for block in blocks:
            place, text = "", b""
            for line in block.split(b"\n"):
                field, _, value = line.partition(b": ")
                if field == b"id":
                    place = value.decode()
                elif field == b"data":
                    text += value
            if text:
                yield text, place
