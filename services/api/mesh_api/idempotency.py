"""`Idempotency-Key`: a retry finds what the first attempt has done, because its ids are the same.

Nothing is remembered here: ids derive from caller, path and key, and the streams refuse what they hold already under an
id, in whatever process the retry ends up. That holds for the ten minutes of the streams' windows. The body is no part
of the ids, or a changed body would be done as well: it is compared with what is stored where a write turns out to be a
repetition. (The same key for two sessions is not noticed: their messages are two.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from fastapi import Request

from daena_mesh.ids import derived_id, uuid7
from mesh_api.callers import caller_of
from mesh_api.problems import KEY_REUSED, WRONG_PARAMETER, Problem

_is_key = re.compile(r"[!-~]{1,255}").fullmatch


class Ids(NamedTuple):
    """Where the ids of one request come from."""

    base: tuple[str, str, str] | None
    """Caller, path and key, or None without a key."""

    def make(self, what: str) -> str:
        """The id of ``what`` this request makes: the same one for the same key, else a fresh one."""
        return uuid7() if self.base is None else derived_id("idempotency", *self.base, what)

    def given(self, what: str) -> str | None:
        """Like `make`, but None without a key."""
        return None if self.base is None else self.make(what)


def ids_of(request: Request) -> Ids:
    """The ids of ``request``; raises `Problem` for a key that is not 1 to 255 visible ASCII characters."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return Ids(None)
    if not _is_key(key):
        raise Problem(WRONG_PARAMETER, "Idempotency-Key must be 1 to 255 visible ASCII characters.")
    if (caller := caller_of(request).user) is None:
        caller = request.client.host if request.client else ""
    return Ids((caller, request.url.path, key))


def check_same(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise `Problem` where what was ``stored`` under a key differs from what is ``wanted`` under it now."""
    different = sorted(name for name, value in wanted.items() if stored.get(name) != value)
    if different:
        raise Problem(KEY_REUSED, f"The first request with this key had another {', '.join(different)}.")
