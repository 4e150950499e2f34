"""What keeps an object alive that should be gone: for the words of a test that fails."""

from __future__ import annotations

import gc
import sys
from types import FrameType
from typing import Any

_DEEP = 6
_MOST = 8


def keepers(kept: object, *, deep: int = _DEEP) -> list[str]:
    """Give chains of what refers to ``kept``, nearest first, as far as they are told apart by their types."""
    ours = {id(sys._getframe(depth)) for depth in range(_depth())}
    found: list[str] = []
    seen = {id(kept)}
    ends: list[tuple[Any, str]] = [(kept, _name(kept))]
    for _ in range(deep):
        following: list[tuple[Any, str]] = []
        for one, chain in ends:
            others = [other for other in gc.get_referrers(one) if id(other) not in seen and id(other) not in ours]
            others = [other for other in others if other is not ends and other is not following]
            if not others:
                found.append(chain)
            seen.update(map(id, others))
            following += [(other, f"{chain} < {_name(other)}") for other in others[:_MOST]]
        ends = following
    return sorted({*found, *(chain for _, chain in ends)})[:_MOST]


def _depth() -> int:
    depth, frame = 0, sys._getframe()
    while frame.f_back is not None:
        depth, frame = depth + 1, frame.f_back
    return depth


def _name(one: object) -> str:
    if isinstance(one, FrameType):
        return f"frame {one.f_code.co_qualname}:{one.f_lineno}"
    if isinstance(one, dict):
        return f"dict({', '.join(map(str, list(one)[:4]))[:80]})"
    if callable(one):
        return f"{type(one).__name__} {getattr(one, '__qualname__', '?')}"
    return type(one).__name__
