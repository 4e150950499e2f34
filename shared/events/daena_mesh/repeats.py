"""Questions to leaders that nobody has answered yet, and when they are asked again.

While a cluster chooses a leader nobody hears what is asked of it, and it answers nothing that was asked before. So some
questions are repeated, few and cheap ones that are on the way all the time. Once one of them is answered after a
silence, everything else that waits is asked again at once.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable

OFTEN_S = 0.25
_LEAST_AGE_S = 0.1
"""What was asked a moment ago has been heard by whoever answers now."""


class Repeat(enum.Enum):
    """Whether a question may be asked again while it has no answer; asking twice must be the same as asking once."""

    NEVER = enum.auto()
    AFTER_SILENCE = enum.auto()
    """Once somebody answers again."""
    OFTEN = enum.auto()
    """Then, and every `OFTEN_S` seconds."""


class Unanswered:
    """What waits for an answer through one connection, and may be asked again."""

    def __init__(self) -> None:
        self._asked: dict[object, tuple[float, Callable[[], object]]] = {}

    def add(self, question: object, again: Callable[[], object]) -> None:
        """``question`` was asked now; ``again`` asks it once more."""
        self._asked[question] = (time.monotonic(), again)

    def remove(self, question: object) -> None:
        """It has its answer, or nobody waits for it."""
        self._asked.pop(question, None)

    def ask_again(self) -> None:
        """Somebody answers again: ask what has waited for a while once more."""
        now = time.monotonic()
        for question, (at, again) in tuple(self._asked.items()):
            if now - at >= _LEAST_AGE_S:
                self._asked[question] = (now, again)
                again()
