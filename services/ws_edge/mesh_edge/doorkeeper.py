"""Stands in the lobby of a session's topic, and holds up whom the topic does not know until the leader was asked.

Whoever was added a moment ago may come before the topic was shown that. One question is put at a time, for all who have
come before it, so a crowd of strangers asks no more than one of them does after the other.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Protocol

from mesh_edge import closing
from mesh_edge.belonging import Belonging
from mesh_edge.closing import Closing
from mesh_edge.lobby import Go


class House(Protocol):
    """A topic, as much of it as a doorkeeper looks at."""

    belonging: Belonging

    def refusal(self, user: str | None) -> Closing | None:
        """Why ``user`` may not follow, as far as is known; None where they may."""

    def ask(self) -> None:
        """Put a question to the leader, soon, if none is being answered; else once more behind that."""


class _Knock(NamedTuple):
    """Who has come, and the first question that is put after that."""

    user: str | None
    question: int


class Doorkeeper:
    """Knows of each guest when it came."""

    __slots__ = ("_held", "_house", "_knocks")

    def __init__(self, house: House) -> None:
        """Nobody has come."""
        self._house = house
        self._knocks: dict[Go, _Knock] = {}
        self._held: dict[Go, None] = {}

    def note(self, go: Go, user: str | None) -> None:
        """Somebody has come."""
        self._knocks[go] = _Knock(user, self._house.belonging.asked + 1)

    def passes(self, go: Go) -> bool:
        """Whether a guest need not wait; else ``go`` is called once it need not any more, and the leader is asked."""
        if self._is_settled(go):
            return True
        self._held[go] = None
        self._house.ask()
        return False

    def leave(self, go: Go) -> None:
        """It has gone, or come in."""
        self._knocks.pop(go, None)
        self._held.pop(go, None)

    def release(self) -> bool:
        """Call who need not wait any more; gives whether somebody is left, for whom the leader has to be asked."""
        loop = asyncio.get_running_loop()
        for go in tuple(self._held):
            if self._is_settled(go):
                del self._held[go]
                loop.call_soon(go)
        return bool(self._held)

    def was_asked_for(self, go: Go) -> bool:
        """Whether the leader has answered a question that was put after a guest came."""
        knock = self._knocks.get(go)
        return knock is not None and knock.question <= self._house.belonging.answered

    def _is_settled(self, go: Go) -> bool:
        user, question = self._knocks[go]
        return question <= self._house.belonging.ended or self._house.refusal(user) is not closing.FORBIDDEN
