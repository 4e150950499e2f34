"""`If-Match` and `ETag` (RFC 9110, sections 8.8.3 and 13.1.1): the tag is the sequence of a session's last event."""

from __future__ import annotations

import re

from mesh_api.problems import CHANGED, Problem

_tags = re.compile(r'(W/)?"([^"]*)"')
_is_ours = re.compile(r'"([1-9][0-9]{0,18})"').fullmatch
_is_list = re.compile(r'\s*(W/)?"[^"]*"(\s*,\s*(W/)?"[^"]*")*\s*').fullmatch


def etag(seq: int) -> str:
    """The tag of a session whose last event has this sequence."""
    return f'"{seq}"'


def only_seq(if_match: str) -> int | None:
    """The sequence where ``if_match`` is a single tag of ours."""
    found = _is_ours(if_match.strip())
    return int(found[1]) if found else None


def expected(if_match: str | None, current: int) -> int | None:
    """The sequence that the session's last event must have, or None where any will do.

    ``current`` is what it has now. Raises `Problem` 412 where ``if_match`` does not name that.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    if not _is_list(if_match):
        raise Problem(CHANGED, f"If-Match {if_match[:80]!r} is no list of entity tags.")
    if str(current) in [tag for weak, tag in _tags.findall(if_match) if not weak]:
        return current
    raise Problem(CHANGED, f"Its ETag is {etag(current)} now.", {"ETag": etag(current)})
