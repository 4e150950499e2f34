"""Ids of events, and the hash under which a stream deduplicates them."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from hashlib import blake2b


def uuid7() -> str:
    """A fresh UUID of version 7 (RFC 9562, section 5.7): sorts by the millisecond it was made in."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF000 << 64) | 0x7000 << 64
    value = value & ~(0xC000 << 48) | 0x8000 << 48
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def now() -> str:
    """The time in UTC as RFC 3339, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def derived_id(*parts: str) -> str:
    """The same 32 hexadecimal digits for the same parts, whatever process asks."""
    return blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def dedup_id(subject: str, event_id: str) -> str:
    """The ``Nats-Msg-Id`` of an event.

    A stream has one space of ids for all its subjects, so an id of the caller's alone would let one session swallow
    another's message. The author, where there is one, is the last token of the subject.
    """
    return derived_id(subject, event_id)
