"""Ids of events, and the hash under which a stream deduplicates them."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from hashlib import blake2b

_VARIANTS = {digit: "89ab"[int(digit, 16) >> 2] for digit in "0123456789abcdef"}


def uuid7() -> str:
    """A fresh UUID of version 7 (RFC 9562, section 5.7): sorts by the millisecond it was made in."""
    return _uuid7(_millisecond(), os.urandom(10).hex())


def uuid7s(count: int) -> list[str]:
    """So many of them, of one millisecond: to ask the system for chance each time is most of what one costs."""
    at, chance = _millisecond(), os.urandom(10 * count).hex()
    return [_uuid7(at, chance[begin : begin + 20]) for begin in range(0, 20 * count, 20)]


def _millisecond() -> str:
    return f"{time.time_ns() // 1_000_000:012x}"


def _uuid7(at: str, chance: str) -> str:
    return f"{at[:8]}-{at[8:]}-7{chance[1:4]}-{_VARIANTS[chance[4]]}{chance[5:8]}-{chance[8:]}"


def now() -> str:
    """The time in UTC as RFC 3339, to the millisecond."""
    seconds, milliseconds = divmod(time.time_ns() // 1_000_000, 1_000)
    return f"{_second(seconds)}.{milliseconds:03}Z"


def rfc3339(at: float) -> str:
    """A time in seconds since 1970 in the same form."""
    seconds, milliseconds = divmod(int(at * 1_000), 1_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{milliseconds:03}Z"


def rfc3339_of(at: float) -> str:
    """A moment of `time.monotonic`, in seconds, in the same form, by the clock as it is now."""
    return rfc3339(time.time() + at - time.monotonic())


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def derived_id(*parts: str) -> str:
    """The same 32 hexadecimal digits for the same parts, whatever process asks."""
    return blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def dedup_id(subject: str, event_id: str) -> str:
    """The ``Nats-Msg-Id`` of an event.

    A stream has one space of ids for all its subjects, so an id of the caller's alone would let one session swallow
    another's message. The author, where there is one, is the last token of the subject.
    """
    return derived_id(subject, event_id)
