"""Tokens of people, signed with one key that is known to tests alone."""

from __future__ import annotations

import time
from collections.abc import Sequence

from daena_mesh.tokens import Claims, Rights, mint

KEY = "a key of tests, of thirty-two bytes"


def token(
    *read: str, write: Sequence[str] = (), sub: str = "ada", lives_s: float = 3_600, made_s: float = 0, key: str = KEY
) -> str:
    """Sign a token of ``sub``, which may read and write these patterns of subjects.

    Args:
        read: patterns, such as ``chat.s1.>``.
        write: patterns.
        sub: whose it is.
        lives_s: seconds from now until it expires, below zero where it has. An hour by default: some are made when
            tests are collected, and shown when all the others have run.
        made_s: seconds from now when it says it was made; 0 says nothing of that.
        key: the secret.
    """
    now = time.time()
    claims = Claims(sub=sub, exp=now + lives_s, iat=now + made_s if made_s else 0, mesh=Rights(read, tuple(write)))
    return mint(claims, key.encode())


def bearer(shown: str) -> dict[str, str]:
    """Give the header that shows a token."""
    return {"Authorization": f"Bearer {shown}"}
