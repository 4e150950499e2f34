"""To whom a session belongs, as far as an edge knows. Pure.

Two say so. What is followed comes in its place between the messages, but perhaps after whoever wrote it was told that
it is stored, and has told others. What the leader answers may be ahead of that: it lets in who was added, and removes
nobody, since who was removed is still owed what was stored before. Of both the newest counts, by its sequence.

Questions are counted. So it is known of everybody who comes whether the leader has answered one that was put after
that: before it has, nobody is refused for good.
"""

from __future__ import annotations

from typing import NamedTuple

from daena_mesh.membership import NOBODY, Circle, circle_of
from daena_mesh.sessions import SessionState


class _Said(NamedTuple):
    """What the event at a sequence says."""

    seq: int = 0
    circle: Circle = NOBODY


class Belonging:
    """What is known of one session."""

    __slots__ = ("_ahead", "_followed", "_forgotten", "answered", "asked", "ended", "is_known")

    def __init__(self) -> None:
        """Nothing yet."""
        self.is_known = False
        """The leader was asked, and whatever came since was taken in."""
        self.asked = 0
        """How many questions were put to the leader: the number of the last one."""
        self.answered = 0
        """The last question that it has answered."""
        self.ended = 0
        """The last one that was answered, or will not be."""
        self._followed = _Said()
        self._ahead = _Said()
        """What the leader has answered; it counts until what is followed has come as far."""
        self._forgotten = 0

    def includes(self, user: str | None) -> bool:
        """Whether the session belongs to ``user``, by what is followed or by what the leader knows already."""
        is_ahead = self._ahead.seq > self._followed.seq
        return self._followed.circle.includes(user) or (is_ahead and self._ahead.circle.includes(user))

    def follow(self, state: SessionState) -> bool:
        """Take in an event in its place; gives whether it says anything new, by which somebody may be removed."""
        if state.seq <= self._followed.seq:
            return False
        self._followed = _Said(state.seq, circle_of(state.session))
        return True

    def ask(self) -> int:
        """A question is put; gives its number."""
        self.asked += 1
        return self.asked

    def answer(self, question: int, state: SessionState | None) -> None:
        """Take in what the leader has answered, unless everything was forgotten meanwhile."""
        if question <= self._forgotten:
            return
        self.answered = self.ended = question
        said = _Said() if state is None else _Said(state.seq, circle_of(state.session))
        if not self.is_known:  # nobody was let in who could be removed
            self.is_known = True
            self._followed = max(self._followed, said, key=lambda one: one.seq)
        elif said.seq > self._ahead.seq:
            self._ahead = said

    def fail(self, question: int) -> None:
        """The leader could not be asked."""
        self.ended = question

    def forget(self) -> None:
        """Sequences have another meaning, or something was lost that may have said anything."""
        self.is_known = False
        self._followed = self._ahead = _Said()
        self._forgotten = self.asked
