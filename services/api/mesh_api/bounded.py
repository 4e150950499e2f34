"""Values of strangers, made small enough to be kept by the thousand."""

from __future__ import annotations

from typing import Any

import msgspec

MOST_BYTES = 1_024
"""What is kept of a value, as JSON."""

_BEGINNING_CHARS = 300


def text(value: Any, most_chars: int) -> str | None:
    """A text cut to ``most_chars``; None for what is no text, or an empty one."""
    return value[:most_chars] or None if isinstance(value, str) else None


def texts(values: Any, most: int, most_chars: int) -> tuple[str, ...]:
    """The texts among ``values``, at most ``most``; none for what is no list."""
    return (
        tuple(value[:most_chars] for value in values[:most] if isinstance(value, str))
        if isinstance(values, list)
        else ()
    )


def raw(value: Any) -> bytes:
    """A value as JSON; of one that takes more than `MOST_BYTES` the beginning, as a text."""
    written = msgspec.json.encode(value)
    if len(written) <= MOST_BYTES:
        return written
    beginning = value if isinstance(value, str) else written.decode()
    return msgspec.json.encode(beginning[:_BEGINNING_CHARS] + "…")
