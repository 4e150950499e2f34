"""What follows from the end of a connection: whether to come back, and when. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

RESTART = 1012

Rule = Literal["fail", "told", "token", "later"]

CLOSE_CODES: Final[Mapping[int, Rule]] = {
    1000: "fail",  # done
    1002: "fail",  # not the WebSocket protocol
    1003: "fail",  # only text is understood
    1007: "fail",  # not UTF-8
    1011: "later",  # the edge failed
    RESTART: "told",  # the edge restarts
    4400: "fail",  # the request makes no sense
    4401: "token",  # missing, wrong or expired
    4403: "fail",  # not allowed
    4429: "later",  # too many
}
"""What to do when the server closes so: nothing, come back as its ``reconnect`` told, with a new token, or later than
usual. Any other code: come back after a back-off."""

STATUSES: Final[Mapping[int, int]] = {400: 4400, 401: 4401, 403: 4403, 404: 4400, 429: 4429}
"""How an HTTP status in place of the upgrade is told as a close code."""

_FIRST_S = 0.5
_MOST_S = 20.0
_LATER = 6
_STABLE_AFTER_S = 2.0


def backoff(attempt: int, chance: Callable[[], float] = random.random) -> float:
    """The wait before attempt ``attempt`` (from 0) in seconds: full jitter below a ceiling that doubles up to 20 s.

    (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.)
    """
    return chance() * min(_MOST_S, _FIRST_S * 2.0 ** min(attempt, 16))


class Ending(NamedTuple):
    """How a connection ended."""

    code: int
    """A close code; 0 where it just ended."""
    reason: str
    lasted_s: float | None = None
    """Since it was greeted; None where it never was."""
    told_s: float | None = None
    """How long the server said to wait from now on."""


class Comeback:
    """The attempts of one client."""

    def __init__(self, *, renews: bool, chance: Callable[[], float] = random.random) -> None:
        """``renews``: it can get another token."""
        self._renews = renews
        self._chance = chance
        self._attempt = 0

    def after(self, ending: Ending) -> float | None:
        """How many seconds to wait; None where trying again would not help."""
        rule = CLOSE_CODES.get(ending.code)
        was_greeted = ending.lasted_s is not None
        if rule == "fail" or (rule == "token" and not self._renews and not was_greeted):
            return None
        if ending.lasted_s is not None and ending.lasted_s > _STABLE_AFTER_S:
            self._attempt = 0
        attempt, self._attempt = self._attempt, self._attempt + 1
        if ending.told_s is not None:
            return max(0.0, ending.told_s)
        return backoff(attempt + (_LATER if rule == "later" else 0), self._chance)
