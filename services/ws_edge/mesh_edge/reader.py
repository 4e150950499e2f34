"""A connection on one topic: where it stands in the log, and what it was given live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daena_mesh.stored import Stored

if TYPE_CHECKING:
    from mesh_edge.link import Link
    from mesh_edge.topic import Topic

_MOST_LIVED = 16


class Reader:
    """Follows one topic for one connection, which may have others for other topics."""

    __slots__ = ("announce", "joined", "link", "lived", "positions", "topic")

    def __init__(self, link: Link, topic: Topic) -> None:
        """Nothing was given yet; `Topic.join` comes next."""
        self.link = link
        self.topic = topic
        self.announce = True
        """It has not been told yet that it has come to the head."""
        self.positions: dict[str, int] | None = {}
        """Where it stands while it is served from the log; None while it follows live."""
        self.joined: dict[str, int] | None = None
        """From where on it is given all that its topic shows live; None while it is served from the log."""
        self.lived: tuple[tuple[dict[str, int], dict[str, int]], ...] = ()
        """The ranges, up to and with their ends, in which it was given what its topic showed live."""

    @property
    def is_drained(self) -> bool:
        """Nothing is held back for it."""
        return self.link.is_drained

    def send(self, data: bytes) -> None:
        """Write frames, in order after what is held back."""
        self.link.send(data)

    def write_behind(self, data: bytes, before: dict[str, int]) -> None:
        """Write live frames to a reader that holds something back; over the limit only its position is kept.

        ``before`` has the positions before ``data``.
        """
        if self.link.has_room(len(data)):
            self.link.send(data)
        else:
            self.topic.counts.fell_behind += 1
            self.fall_behind(before)

    def fall_behind(self, before: dict[str, int]) -> None:
        """Follow live no longer: it is served from the log, behind ``before``."""
        self.topic.set_aside(self)
        self._end_live(before)
        if self.link.is_drained:  # it had room, but not for so much at once
            self.topic.catch_up.go_on(self)

    def jump(self, stream: str, seq: int) -> None:
        """What lay before ``seq`` cannot be had."""
        if self.positions is not None:
            self.positions = {**self.positions, stream: seq}
        if self.joined is not None:
            self.joined = {**self.joined, stream: seq}
        self.lived = tuple(({**after, stream: seq}, {**to, stream: seq}) for after, to in self.lived)

    def lacks(self, message: Stored) -> bool:
        """Whether an event that was missed live was not read from the log by this reader either, nor will be."""
        stream, seq = message.stream, message.seq
        if self.joined is not None and seq > self.joined.get(stream, 0):
            return True
        return any(after.get(stream, 0) < seq <= to.get(stream, 0) for after, to in self.lived)

    def held_back(self) -> None:
        """Its transport holds something back from now on."""
        self.topic.set_behind(self)

    def taken(self) -> None:
        """Its transport holds nothing back any more."""
        if self.positions is None:
            self.topic.set_ready(self)
        else:
            self.topic.catch_up.go_on(self)

    def _end_live(self, at: dict[str, int]) -> None:
        self.positions = at
        self.announce = True  # the chain of live frames goes on behind what may have expired meanwhile
        if self.joined is not None:
            self.lived, self.joined = (*self.lived, (self.joined, at)), None
        if len(self.lived) > _MOST_LIVED:  # one that spans two may give an event twice, but none never
            self.lived = ((self.lived[0][0], self.lived[1][1]), *self.lived[2:])
