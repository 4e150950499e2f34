"""`Prefer: wait=20` (RFC 7240): how long a caller would wait for an answer."""

from __future__ import annotations

import re
from collections.abc import Iterable

MOST_WAIT_S = 60

_quoted = re.compile(r'"((?:[^"\\]|\\.)*)(?:"|\\?$)')  # also one without an end: so each is looked at once
_is_seconds = re.compile(r"[0-9]{1,9}").fullmatch


def wait_of(headers: Iterable[str]) -> int | None:
    """The seconds that the ``Prefer`` headers ask for, `MOST_WAIT_S` at most; None where they do not.

    Of a preference that is named twice the first counts (RFC 7240, section 2). What makes no sense is ignored, as every
    preference may be.
    """
    for header in headers:
        for preference in _quoted.sub(_unquoted, header).split(","):
            name, _, value = preference.partition(";")[0].partition("=")
            if name.strip().lower() == "wait":
                return min(int(value), MOST_WAIT_S) if _is_seconds(value.strip()) else None
    return None


def _unquoted(found: re.Match[str]) -> str:
    """A quoted string without its quotes where it could be a number, else nothing that could be mistaken."""
    return found[1] if _is_seconds(found[1]) else '""'
