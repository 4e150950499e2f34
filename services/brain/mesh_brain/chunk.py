"""A piece of an answer, read out of whatever a server calls one. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

_MOST_REASON = 64
_MOST_TOKENS = 1 << 53
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class Chunk(NamedTuple):
    """What a piece of an answer holds."""

    text: str = ""
    is_alive: bool = False
    """The model has begun: it says something, or thinks aloud."""
    finish_reason: str | None = None
    usage: dict[str, int] | None = None


def read(chunk: Any) -> Chunk:
    """Read a chunk of the client's, which checks none of its fields; raises `TypeError` for what is none."""
    choices = getattr(chunk, "choices", None)
    usage = _usage(getattr(chunk, "usage", None))
    if not isinstance(choices, list):
        if usage is None:
            raise TypeError("a chunk without choices")
        choices = []
    if not choices:
        return Chunk(usage=usage)
    delta = getattr(choices[0], "delta", None)
    text = _text(delta, "content")
    # Servers name what a model thinks aloud in two ways, neither of them OpenAI's.
    thinks = bool(_text(delta, "reasoning_content") or _text(delta, "reasoning"))
    return Chunk(text, bool(text) or thinks, _text(choices[0], "finish_reason")[:_MOST_REASON] or None, usage)


def valid(text: str) -> str:
    """The text without halves of characters, which JSON can hold and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _text(of: Any, name: str) -> str:
    value = getattr(of, name, None)
    return valid(value) if isinstance(value, str) else ""


def _usage(usage: Any) -> dict[str, int] | None:
    found = {name: getattr(usage, name, None) for name in _COUNTS}
    counts = {name: value for name, value in found.items() if isinstance(value, int) and 0 <= value < _MOST_TOKENS}
    return counts or None
