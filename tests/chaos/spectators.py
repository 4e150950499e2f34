"""Thousands of clients of the edges, which write down what they saw. They behave as `sdk/js` does.

Each follows a topic on one socket, resumes from its newest cursors at the next edge when it is cut off, drops what it
knows, and comes back when a frame does not follow what it has.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from tests.chaos.ledger import Book, Track, View
from tests.support.crowd import Crowd, Member
from tests.support.ws_client import masked, position


class _Activity(msgspec.Struct):
    n: int = -1


class _Payload(msgspec.Struct):
    content: str = ""
    activity: _Activity | None = None
    after_ms: int = 0
    status: str = ""
    cursors: dict[str, str] = {}
    missing: tuple[str, ...] = ()
    to: str = ""
    reason: str = ""


class _Frame(msgspec.Struct):
    event_type: str
    subject: str = ""
    cursor: str = ""
    prev: str = ""
    payload: _Payload = msgspec.field(default_factory=_Payload)


_decode = msgspec.json.Decoder(_Frame).decode
_PONG, _CLOSE = 0x8A, 0x88


class Spectator(Member):
    """One client. It is well while it is connected, and was not told that records may be missing."""

    def __init__(self, crowd: Crowd, path: str, turn: int) -> None:
        super().__init__(crowd, path, turn)
        self.ill_since: float | None = 0.0
        """Since when it is not connected, or is told that records may be missing; None while it is well."""
        self.deaf_since: float | None = 0.0
        """The same for signals."""
        self.tracks: dict[str, Track] = {}
        self.newest_number: dict[str, int] = {}
        self.owed_from: dict[str, int] = {}
        self.is_absent = False
        """It stays away until it is called."""
        self.counted_from = 0.0
        """What it lacks is counted from this moment on."""
        self.dropped = 0
        """Events that it knew already."""
        self.unfit = 0
        """How often a frame did not follow what it had."""

    def cut_off(self) -> None:
        """End its connection, without a word."""
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Come back."""
        self._is_told(records=False, signals=False)
        super().connection_lost(exc)

    def _is_told(self, *, records: bool, signals: bool) -> None:
        """Whether each comes, as far as it knows."""
        now = time.monotonic()
        self.ill_since = None if records else self.ill_since or now
        self.deaf_since = None if signals else self.deaf_since or now

    def _frame(self, opcode: int, payload: bytes) -> None:
        assert self._transport is not None
        if opcode == 1:
            self.take(payload)
        elif opcode == 8:
            self._crowd.closed[int.from_bytes(payload[:2], "big")] += 1
            self._transport.write(masked(_CLOSE, payload[:2]))
        elif opcode == 9:
            self._transport.write(masked(_PONG, payload))

    def take(self, text: bytes) -> None:
        """A frame came."""
        frame = _decode(text)
        if frame.cursor:
            self._event(frame)
        elif frame.event_type == "connection":
            for letter, cursor in frame.payload.cursors.items():
                known = self._newest.get(letter)
                if known is None or _is_newer(cursor, known):
                    self._newest[letter] = cursor
            missing = () if frame.payload.status == "connected" else frame.payload.missing or ("R", "S")
            self._is_told(records="R" not in missing, signals="S" not in missing)
            if self.ill_since is None and not self.is_in:
                self.is_in = True
                self.came += 1
        elif frame.event_type == "gap":
            if frame.payload.to:
                self._newest[frame.payload.to[0]] = frame.payload.to
            for track in self.tracks.values():
                track.told(frame.payload.reason)
        elif frame.event_type == "reconnect":
            self._told = time.monotonic() + frame.payload.after_ms / 1_000

    def _event(self, frame: _Frame) -> None:
        letter = frame.cursor[0]
        known = self._newest.get(letter, "")
        if known and frame.prev and frame.prev != known and _is_newer(frame.prev, known):
            self.unfit += 1
            self.cut_off()  # and resume from what it has
            return
        payload = frame.payload
        number = payload.activity.n if payload.activity is not None else _number(payload.content)
        track = self.tracks.get(frame.subject) if number >= 0 else None
        if not known or _is_newer(frame.cursor, known):
            self._newest[letter] = frame.cursor
        elif track is None or track.has(number):
            self.dropped += 1
            return
        # Else it is late: the edge learned only now that it missed one on this subject (docs/protocol.md, Once).
        if track is not None:
            track.saw(number)
            self.newest_number[frame.subject] = max(number, self.newest_number.get(frame.subject, -1))
            self._crowd.shown += 1


def _is_newer(cursor: str, known: str) -> bool:
    stream, seq = position(cursor)
    other, seen = position(known)
    return stream != other or seq > seen


def _for_how_long(spectator: Spectator, since: float | None, now: float) -> float:
    return 0.0 if since is None or spectator.is_absent else now - max(since, spectator.counted_from)


def _number(content: str) -> int:
    return int(content) if content.isdigit() else -1


class Spectators(Crowd):
    """All of them; ``seats`` are paths, each with the subjects whose numbers are written down."""

    def __init__(
        self, ports: Sequence[int], seats: Iterable[tuple[str, Sequence[str]]], books: dict[str, Book]
    ) -> None:
        seats = list(seats)
        super().__init__(ports, [path for path, _ in seats], Spectator)
        self.shown = 0
        self._books = books
        self.spectators: list[Spectator] = []
        for member, (_, subjects) in zip(self.members, seats, strict=True):
            assert isinstance(member, Spectator)
            member.tracks = {subject: Track() for subject in subjects}
            self.spectators.append(member)

    def owe_from_now(self) -> None:
        """All were let in: from here on everything is owed to them."""
        for spectator in self.spectators:
            spectator.owed_from = {subject: self._books[subject].begun for subject in spectator.tracks}

    def views(self) -> list[View]:
        """What each saw."""
        return [
            View(f"client {number} ({spectator.path})", subject, spectator.owed_from.get(subject, 0), track)
            for number, spectator in enumerate(self.spectators)
            for subject, track in spectator.tracks.items()
        ]

    def away(self) -> int:
        """How many are not well."""
        return sum(spectator.ill_since is not None and not spectator.is_absent for spectator in self.spectators)

    def staleness(self, now: float, is_counted: Callable[[str], bool]) -> list[float]:
        """For how long each has owed to it what was acknowledged, in seconds."""
        return [
            max((self._stale(spectator, name, now) for name in spectator.tracks if is_counted(name)), default=0.0)
            for spectator in self.spectators
        ]

    def illness(self, now: float) -> list[float]:
        """For how long each has not been well, in seconds."""
        return [_for_how_long(s, s.ill_since, now) for s in self.spectators]

    def deafness(self, now: float) -> float:
        """For how long somebody has been without signals, in seconds."""
        return max((_for_how_long(s, s.deaf_since, now) for s in self.spectators), default=0.0)

    def _stale(self, spectator: Spectator, subject: str, now: float) -> float:
        if spectator.is_absent:
            return 0.0
        acked_at = self._books[subject].acked_at
        following = spectator.newest_number.get(subject, spectator.owed_from.get(subject, 0) - 1) + 1
        if following >= len(acked_at):
            return 0.0
        return max(0.0, now - max(acked_at[following], spectator.counted_from))

    def storm(self, share: float, chance: random.Random) -> None:
        """Cut off this share of all, who come back at once."""
        for spectator in chance.sample(self.spectators, int(share * len(self.spectators))):
            spectator.cut_off()

    def send_away(self, share: float, chance: random.Random) -> list[Spectator]:
        """Cut off this share of all, who do not come back until they are called."""
        absent = chance.sample(self.spectators, int(share * len(self.spectators)))
        for spectator in absent:
            spectator.is_absent = True
            spectator.cut_off()
        return absent

    def call_back(self, absent: Sequence[Spectator]) -> None:
        """Let them come back."""
        for spectator in absent:
            spectator.is_absent = False
            spectator.counted_from = time.monotonic()
            self.send(spectator)

    def send(self, member: Member) -> None:
        """Let one connect."""
        if not (isinstance(member, Spectator) and member.is_absent):
            super().send(member)
