"""`mesh token`: a token for somebody, signed with the key that edges and API check."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable

from daena_mesh.errors import ConfigurationError, InvalidQuery
from daena_mesh.settings import load
from daena_mesh.subjects import check_pattern
from daena_mesh.tokens import MOST_TOKEN_BYTES, Claims, Keyring, Rights, TokenSettings

MOST_S = 366 * 86_400
_MOST_USER = 256
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_is_duration = re.compile(r"([0-9]{1,9})([smhd])", re.ASCII).fullmatch


def seconds_of(text: str) -> int:
    """Read how long: ``30s``, ``15m``, ``1h``, ``7d``; raises `InvalidQuery`."""
    if (found := _is_duration(text)) is None:
        raise InvalidQuery(f"{text[:40]!a} is no time such as 30s, 15m, 1h or 7d")
    seconds = int(found[1]) * _UNITS[found[2]]
    if not 1 <= seconds <= MOST_S:
        raise InvalidQuery(f"{text[:40]!a} is not between 1s and {MOST_S // 86_400}d")
    return seconds


def made(settings: TokenSettings, user: str, read: Iterable[str], write: Iterable[str], *, ttl: str, at: float) -> str:
    """The token, good until ``ttl`` after ``at``; raises `MeshError` for whatever would make it useless."""
    if (keyring := Keyring.load(settings)) is None:
        raise ConfigurationError(
            "a token is signed with the key of the mesh: set MESH_TOKEN_KEY or MESH_TOKEN_KEY_FILE to the one it has"
        )
    if not 1 <= len(user) <= _MOST_USER:
        raise InvalidQuery(f"a user is named by 1 to {_MOST_USER} characters")
    rights = Rights(tuple(map(check_pattern, read)), tuple(map(check_pattern, write)))
    token = keyring.mint(Claims(sub=user, exp=int(at) + seconds_of(ttl), mesh=rights, iat=int(at)))
    if len(token) > MOST_TOKEN_BYTES:
        raise InvalidQuery(f"so many patterns make a token of more than {MOST_TOKEN_BYTES} bytes")
    return token


def print_token(user: str, read: Iterable[str], write: Iterable[str], *, ttl: str) -> int:
    """Write a token to standard output, and nothing else; raises `MeshError`."""
    sys.stdout.write(made(load(TokenSettings), user, read, write, ttl=ttl, at=time.time()) + "\n")
    return 0
