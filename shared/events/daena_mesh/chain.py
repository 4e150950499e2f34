"""What a follower knows of one stream: where it stands, and whether a live message fits on.

Pure: no clock, no I/O. A live message tells the sequence of the one before it on its own subject; where that is newer
than what was seen there, something was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

from daena_mesh.stored import Stored

MOST_SUBJECTS = 4_096


class Verdict(Enum):
    """What to do with a live message."""

    SHOW = "show"
    OLD = "old"
    """Seen already."""
    GAP = "gap"
    """Something before it is missing: fetch that from the log first."""


class Chain:
    """The state of one stream within one follower."""

    __slots__ = ("_floor", "by_subject", "epoch", "flushed", "position", "reach", "seen", "verified", "whole")

    def __init__(self, *, whole: bool) -> None:
        """``whole`` says that every message of the stream is followed, so that sequences must be contiguous."""
        self.whole = whole
        self.seen = 0
        """Everything up to here was seen, or noticed as lost and fetched."""
        self.position = 0
        """The sequence of the last event that was shown, or where the follower began."""
        self.epoch = ""
        """The life of the stream that sequences belong to."""
        self.flushed = 0
        """The position up to which what was shown has been written on, for who writes later than it is shown."""
        self.reach = 0
        """The newest message that is known to exist: a replay is complete when it has come to it."""
        self.verified = 0
        """Up to here the log was asked for the last message on each subject, and none was missing."""
        self.by_subject: dict[bytes, int] = {}
        """The last sequence that was seen on each subject that is remembered; empty where all of them are followed."""
        self._floor = 0

    def begin(self, position: int) -> None:
        """Forget everything: what lies up to ``position`` is behind."""
        self.seen = self.position = self.reach = self.verified = self._floor = position
        self.by_subject.clear()

    def known(self, subject: bytes) -> int:
        """The last sequence that was seen on ``subject``, or where the follower began."""
        return self.by_subject.get(subject, self._floor)

    def is_new_subject(self, subject: bytes) -> bool:
        """Whether nothing on ``subject`` was accepted yet."""
        return subject not in self.by_subject

    def judge(self, message: Stored) -> Verdict:
        """What to do with a live message; changes nothing."""
        if message.seq <= self.seen:
            return Verdict.OLD
        if self.whole:
            return Verdict.SHOW if message.seq == self.seen + 1 else Verdict.GAP
        return Verdict.GAP if message.previous > self.known(message.subject) else Verdict.SHOW

    def note(self, message: Stored) -> None:
        """``message`` was seen, whether it is shown or not."""
        seq = message.seq
        self.seen = max(self.seen, seq)
        self.reach = max(self.reach, seq)
        if not self.whole:
            self.by_subject[message.subject] = seq
            if len(self.by_subject) > MOST_SUBJECTS:
                self._forget_silent()

    def _forget_silent(self) -> None:
        """Forget the eighth that was silent for longest: from the last of it on, what is unknown may be a gap."""
        subjects = sorted(self.by_subject, key=self.by_subject.__getitem__)[: MOST_SUBJECTS // 8]
        self._floor = max(self._floor, *(self.by_subject.pop(subject) for subject in subjects))

    def show(self, seq: int) -> int:
        """An event is shown; returns the position before it, the ``prev`` of its frame."""
        before, self.position = self.position, max(self.position, seq)
        return before

    def heal_from(self, message: Stored) -> int:
        """The sequence behind which a live message that shows a gap wants the log read."""
        return self.seen if self.whole else self.known(message.subject)

    def lost(self, newest: Sequence[Stored]) -> int | None:
        """The sequence behind which the log must be read, as one of its ``newest`` was not seen; None if all were.

        ``newest`` has the newest message of each subject with one behind `verified`; what lies before was seen.
        """
        behind = [self.known(message.subject) for message in newest if self.missed(message)]
        return max(min(behind), self.verified) if behind else None

    def missed(self, message: Stored) -> bool:
        """Whether a message read from the log was not seen live."""
        return message.seq > (self.seen if self.whole else self.known(message.subject))


class Hold:
    """Live messages that wait until the log has been read, bounded: the log has what does not fit."""

    __slots__ = ("_messages", "_most", "overflowed")

    def __init__(self, most: int = 4_096) -> None:
        self._messages: list[Stored] = []
        self._most = most
        self.overflowed = False

    def add(self, message: Stored) -> None:
        """Hold one more."""
        if self.overflowed:
            return
        if len(self._messages) >= self._most:
            self.overflowed = True
            self._messages.clear()
        else:
            self._messages.append(message)

    def release(self, give: Callable[[Stored], bool]) -> bool:
        """Give in order until ``give`` refuses one, which is kept with those behind it. Whether all were given."""
        for i, message in enumerate(self._messages):
            if not give(message):
                del self._messages[:i]
                return False
        self._messages.clear()
        return True

    def first(self) -> Stored | None:
        """The oldest that is held."""
        return self._messages[0] if self._messages else None
