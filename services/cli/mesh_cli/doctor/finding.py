"""What a check found: fine or not, what was seen, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

Level = Literal["ok", "warning", "problem"]


class Finding(msgspec.Struct, frozen=True):
    """The outcome of one check."""

    check: str
    level: Level
    seen: str
    mend: str = ""


def fine(check: str, seen: str) -> Finding:
    """It is as it should be."""
    return Finding(check, "ok", seen)


def warning(check: str, seen: str, mend: str) -> Finding:
    """It works, but not as well as it could, or cannot be seen."""
    return Finding(check, "warning", seen, mend)


def problem(check: str, seen: str, mend: str) -> Finding:
    """It does not work, or will not when it matters."""
    return Finding(check, "problem", seen, mend)


def exit_code(findings: Iterable[Finding]) -> int:
    """1 with a problem, else 0."""
    return int(any(finding.level == "problem" for finding in findings))
