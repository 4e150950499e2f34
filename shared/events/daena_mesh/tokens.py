"""Tokens of browsers: JSON Web Tokens (RFC 7519), signed with HMAC SHA-256 (RFC 7515) by the standard library.

A token says who somebody is, until when, and what they may read and write, as patterns of subjects::

    {"sub": "ada", "exp": 1795401600, "mesh": {"read": ["chat.s1.>", "session.s1.>"], "write": ["chat.s1.message"]}}

HS256 is the only algorithm that is ever computed, whatever a token asks for.
"""

from __future__ import annotations

from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from daena_mesh.errors import ConfigurationError, InvalidToken
from daena_mesh.settings import MeshSettings
from daena_mesh.subjects import covers, matches

LEAST_KEY_BYTES = 32
"""RFC 7518 section 3.2: a key as long as the hash, or longer."""

MOST_TOKEN_BYTES = 8_192
_MOST_KEYS = 8
_MOST_HEADS = 64
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")


class TokenSettings(MeshSettings, frozen=True, kw_only=True):
    """What services are told that check tokens."""

    token_key: Annotated[
        str,
        Meta(description="The key of HS256 tokens, 32 bytes at least. Empty, without a file: nobody authenticates."),
    ] = ""
    token_key_previous: Annotated[
        str, Meta(description="The key before, accepted as well until all tokens that it signed have expired.")
    ] = ""
    token_key_file: Annotated[
        str, Meta(description="A file with the keys instead, one a line, the present one first.")
    ] = ""
    token_cookie: Annotated[str, Meta(description="The cookie that may carry a token; empty: none.")] = "mesh_token"  # noqa: S105 - its name

    def __repr__(self) -> str:
        """Without the key."""
        return f"{type(self).__name__}(…)"


class Rights(msgspec.Struct, frozen=True):
    """Patterns of subjects that somebody may read and write."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()

    def may_read(self, patterns: Iterable[str]) -> bool:
        """Whether all that ``patterns`` match may be read: each of them is covered by one of ours."""
        read = self.read
        return all(pattern in read or any(covers(mine, pattern) for mine in read) for pattern in patterns)

    def may_write(self, subject: str) -> bool:
        """Whether something may be written on ``subject``."""
        return any(matches(mine, subject) for mine in self.write)


class Claims(msgspec.Struct, frozen=True):
    """What a token says that was signed with one of our keys and has not expired."""

    sub: Annotated[str, Meta(min_length=1, max_length=256)]
    exp: int | float
    """Seconds since 1970."""
    nbf: int | float = 0
    mesh: Rights = Rights()
    iat: int | float = 0
    """When it was made; 0: before everything else."""


class _Head(msgspec.Struct, frozen=True):
    """A JOSE header."""

    alg: str
    crit: Any = msgspec.UNSET


_claims_of = msgspec.json.Decoder(Claims).decode
_head_of = msgspec.json.Decoder(_Head).decode


class Keyring:
    """The keys of tokens: all of them are accepted, so that one takes the place of another without a break.

    Args:
        keys: secrets of 32 bytes at least.

    Raises:
        ConfigurationError: there is none, there are too many, or one is too short; the message shows none of them.
    """

    __slots__ = ("_heads", "_signers")

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not 1 <= len(keys) <= _MOST_KEYS:
            raise ConfigurationError(f"tokens need 1 to {_MOST_KEYS} keys, not {len(keys)}")
        if short := [len(key) for key in keys if len(key) < LEAST_KEY_BYTES]:
            raise ConfigurationError(
                f"a key has {min(short)} bytes and needs {LEAST_KEY_BYTES}; `openssl rand -base64 32` makes one"
            )
        self._signers = tuple(_signer(key) for key in keys)
        self._heads: set[bytes] = set()
        """Headers that came with a valid signature and say HS256."""

    @classmethod
    def load(cls, settings: TokenSettings) -> Keyring | None:
        """Read the keys that are configured; None where there are none. Raises `ConfigurationError`."""
        given = [key for key in (settings.token_key, settings.token_key_previous) if key]
        variable = "MESH_TOKEN_KEY"
        if settings.token_key_file:
            if given:
                raise ConfigurationError("MESH_TOKEN_KEY and MESH_TOKEN_KEY_FILE are both set: one of them must go")
            variable = "MESH_TOKEN_KEY_FILE"
            given = _lines(settings.token_key_file, variable)
        elif not given:
            return None
        elif not settings.token_key:
            raise ConfigurationError("MESH_TOKEN_KEY_PREVIOUS is set, and MESH_TOKEN_KEY is not")
        try:
            return cls([key.encode() for key in given])
        except ConfigurationError as error:
            raise ConfigurationError(f"{variable}: {error}") from None

    def __repr__(self) -> str:
        return f"Keyring({len(self._signers)} keys)"

    def verify(self, token: bytes, at: float) -> Claims:
        """Read a token.

        Args:
            token: in compact form, three parts of base64url joined by dots.
            at: the time, in seconds since 1970; it must lie before ``exp``, and not before ``nbf``.

        Raises:
            InvalidToken: it is none, is not signed by us with HS256, or its time has not come or is over.
        """
        if len(token) > MOST_TOKEN_BYTES:
            raise InvalidToken("the token is too long")
        signed, _, signature = token.rpartition(b".")
        for sign in self._signers:
            if compare_digest(sign(signed), signature):
                break
        else:
            raise InvalidToken("the token's signature is not ours")
        head, _, body = signed.partition(b".")
        try:
            if head not in self._heads:
                self._check_head(head)
            claims = _claims_of(_decoded(body))
        except (msgspec.DecodeError, Base64Error, UnicodeDecodeError):
            raise InvalidToken("the token does not say what it must: sub, exp, mesh") from None
        if not claims.exp > at:
            raise InvalidToken("the token has expired")
        if claims.nbf > at:
            raise InvalidToken("the token is not valid yet")
        return claims

    def _check_head(self, head: bytes) -> None:
        said = _head_of(_decoded(head))
        if said.alg != "HS256" or said.crit is not msgspec.UNSET:
            raise InvalidToken("the token is signed in a way that is not known here")
        if len(self._heads) < _MOST_HEADS:
            self._heads.add(head)

    def mint(self, claims: Claims) -> str:
        """Sign ``claims`` with the first key."""
        return _minted(claims, self._signers[0])


def mint(claims: Claims | dict[str, Any], key: bytes) -> str:
    """Sign ``claims`` with ``key``: the token in compact form."""
    return _minted(claims, _signer(key))


def _minted(claims: Claims | dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    signed = _encoded(b'{"alg":"HS256","typ":"JWT"}') + b"." + _encoded(msgspec.json.encode(claims))
    return (signed + b"." + sign(signed)).decode()


def _lines(path: str, variable: str) -> list[str]:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigurationError(f"{variable}: {path!a} cannot be read: {why}") from None
    return [line.strip() for line in lines if line.strip()]


def _signer(key: bytes) -> Callable[[bytes], bytes]:
    """HMAC SHA-256 (RFC 2104) with what depends on the key alone done once: `hmac.digest` takes twice as long."""
    block = (key if len(key) <= 64 else sha256(key).digest()).ljust(64, b"\0")
    inside, outside = sha256(bytes(byte ^ 0x36 for byte in block)), sha256(bytes(byte ^ 0x5C for byte in block))

    def sign(text: bytes) -> bytes:
        inner, outer = inside.copy(), outside.copy()
        inner.update(text)
        outer.update(inner.digest())
        return _encoded(outer.digest())

    return sign


def _encoded(data: bytes) -> bytes:
    """Base64url without padding, RFC 7515 section 2."""
    return b64encode(data).translate(_TO_URL).rstrip(b"=")


def _decoded(text: bytes) -> bytes:
    """The inverse; raises `binascii.Error` for whatever `_encoded` would not have written."""
    data = a2b_base64(text.translate(_FROM_URL) + b"=" * (-len(text) % 4))
    if _encoded(data) != text:
        raise Base64Error
    return data
