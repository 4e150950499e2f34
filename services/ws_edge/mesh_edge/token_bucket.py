"""A limit on how often something may happen: so much a second, and a burst."""

from __future__ import annotations

BURST_S = 2.0
"""Who was silent for so long may catch up all of it at once."""


class TokenBucket:
    """Holds a token for each time that something may happen, and gets new ones at a steady rate."""

    __slots__ = ("_at", "_tokens")

    def __init__(self) -> None:
        """Full, whatever the rate is."""
        self._tokens: float | None = None
        self._at = 0.0

    def take(self, at: float, rate: float) -> bool:
        """Take one token at the monotonic time ``at``, in seconds, where ``rate`` come in a second; False for none."""
        most = max(1.0, rate * BURST_S)
        tokens = most if self._tokens is None else min(most, self._tokens + (at - self._at) * rate)
        self._at = at
        self._tokens = tokens - 1 if tokens >= 1 else tokens
        return tokens >= 1
