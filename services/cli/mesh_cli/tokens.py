"""`mesh token`: a token for somebody, signed with the secret that edges and API check, or with a private key."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable

import msgspec

from daena_mesh.errors import ConfigurationError, InvalidQuery
from daena_mesh.settings import load
from daena_mesh.subjects import check_pattern
from daena_mesh.token_keys import read_key_file, sorted_out
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


def made(
    settings: TokenSettings,
    user: str,
    read: Iterable[str],
    write: Iterable[str],
    *,
    ttl: str,
    at: float,
    key_file: str = "",
) -> str:
    """The token, good until ``ttl`` after ``at``; raises `MeshError` for whatever would make it useless.

    It is signed with what is in ``key_file``, a private key (PEM) or a secret, else with the secret of the mesh.
    """
    if not 1 <= len(user) <= _MOST_USER:
        raise InvalidQuery(f"a user is named by 1 to {_MOST_USER} characters")
    rights = Rights(tuple(map(check_pattern, read)), tuple(map(check_pattern, write)))
    token = _signed(settings, Claims(sub=user, exp=int(at) + seconds_of(ttl), mesh=rights, iat=int(at)), key_file)
    if len(token) > MOST_TOKEN_BYTES:
        raise InvalidQuery(f"so many patterns make a token of more than {MOST_TOKEN_BYTES} bytes")
    return token


def _signed(settings: TokenSettings, claims: Claims, key_file: str) -> str:
    issuer, audience = settings.token_issuer, settings.token_audience
    if not key_file:
        if (keyring := Keyring.load(settings)) is None:
            raise ConfigurationError(
                "a token is signed with the key of the mesh: set MESH_TOKEN_KEY or MESH_TOKEN_KEY_FILE to the one "
                "it has, or name one with --key-file"
            )
        return keyring.mint(claims)
    text = read_key_file(key_file, "--key-file")
    if "PRIVATE KEY" not in text:
        secrets, public = sorted_out([text], in_lines=True)
        if public:
            raise ConfigurationError("--key-file: this is a public key; tokens are signed with the private one")
        return Keyring([key.encode() for key in secrets], issuer=issuer, audience=audience).mint(claims)
    try:
        from daena_mesh.public_keys import sign
    except ImportError:
        raise ConfigurationError("--key-file: private keys need PyJWT with cryptography") from None
    to_sign = msgspec.structs.replace(claims, iss=issuer, aud=audience or ())
    return sign(to_sign, text.encode())


def print_token(user: str, read: Iterable[str], write: Iterable[str], *, ttl: str, key_file: str = "") -> int:
    """Write a token to standard output, and nothing else; raises `MeshError`."""
    token = made(load(TokenSettings), user, read, write, ttl=ttl, at=time.time(), key_file=key_file)
    sys.stdout.write(token + "\n")
    return 0
