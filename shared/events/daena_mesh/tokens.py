"""Tokens of browsers: JSON Web Tokens (RFC 7519), signed with HMAC SHA-256 (RFC 7515) by the standard library.

A token says who somebody is, until when, and what they may read and write, as patterns of subjects::

    {"sub": "ada", "exp": 1795401600, "mesh": {"read": ["chat.s1.>", "session.s1.>"], "write": ["chat.s1.message"]}}

HS256 is the only algorithm that is ever computed here, whatever a token asks for. Tokens that others sign, with private
keys, are checked by `daena_mesh.public_keys`, where such keys are configured.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from daena_mesh.errors import ConfigurationError, InvalidToken
from daena_mesh.jose import decoded, encoded, read_head
from daena_mesh.settings import MeshSettings
from daena_mesh.subjects import covers, matches

if TYPE_CHECKING:
    from daena_mesh.jwks import Jwks
    from daena_mesh.public_keys import PublicKeys

LEAST_KEY_BYTES = 32
"""RFC 7518 section 3.2: a key as long as the hash, or longer."""

MOST_TOKEN_BYTES = 8_192
_MOST_KEYS = 8
_MOST_HEADS = 64


class TokenSettings(MeshSettings, frozen=True, kw_only=True):
    """What services are told that check tokens."""

    token_key: Annotated[
        str,
        Meta(
            description="The key of HS256 tokens, 32 bytes at least, or a public key (PEM) of RS256, ES256 or EdDSA. "
            "Empty, and neither a file nor an address: nobody authenticates."
        ),
    ] = ""
    token_key_previous: Annotated[
        str, Meta(description="The key before, accepted as well until all tokens that it signed have expired.")
    ] = ""
    token_key_file: Annotated[
        str, Meta(description="A file with the keys instead: one a line, the present one first; or public keys (PEM).")
    ] = ""
    jwks_url: Annotated[
        str, Meta(description="Where the public keys of tokens are published (JWKS): https, or http on loopback.")
    ] = ""
    jwks_refresh_s: Annotated[
        float, Meta(ge=1, le=86_400, description="How often these are fetched again, in seconds.")
    ] = 300.0
    token_issuer: Annotated[str, Meta(description="Who must have made a token, its `iss`; empty: anybody.")] = ""
    token_audience: Annotated[
        str, Meta(description="For whom a token must be, its `aud`; empty: a token that has one is refused.")
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
        for pattern in patterns:  # in a loop: a generator would be most of what this costs
            if pattern not in read and not any(covers(mine, pattern) for mine in read):
                return False
        return True

    def may_write(self, subject: str) -> bool:
        """Whether something may be written on ``subject``."""
        return any(matches(mine, subject) for mine in self.write)


class Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a token says that was signed with one of our keys and has not expired."""

    sub: Annotated[str, Meta(min_length=1, max_length=256)]
    exp: int | float
    """Seconds since 1970."""
    nbf: int | float = 0
    mesh: Rights = Rights()
    iat: int | float = 0
    """When it was made; 0: before everything else."""
    iss: str = ""
    """Who made it."""
    aud: str | tuple[str, ...] = ()
    """For whom it is."""


_claims_of = msgspec.json.Decoder(Claims).decode


class Keyring:
    """The keys of tokens: all of them are accepted, so that one takes the place of another without a break.

    Args:
        keys: secrets of 32 bytes at least.
        public: the keys of others, who sign with private ones.
        issuer: who must have made a token; empty: anybody.
        audience: for whom it must be; empty: for nobody in particular.

    Raises:
        ConfigurationError: there is none, there are too many, or one is too short; the message shows none of them.
    """

    __slots__ = ("_audience", "_heads", "_issuer", "_signers", "public")

    def __init__(
        self, keys: Sequence[bytes], *, public: PublicKeys | None = None, issuer: str = "", audience: str = ""
    ) -> None:
        if len(keys) > _MOST_KEYS or not (keys or public):
            raise ConfigurationError(f"tokens need 1 to {_MOST_KEYS} keys, not {len(keys)}")
        if short := [len(key) for key in keys if len(key) < LEAST_KEY_BYTES]:
            raise ConfigurationError(
                f"a key has {min(short)} bytes and needs {LEAST_KEY_BYTES}; `openssl rand -base64 32` makes one"
            )
        self.public = public
        self._signers = tuple(_signer(key) for key in keys)
        self._heads: set[bytes] = set()
        """Headers that came with a valid signature and say HS256."""
        self._issuer = issuer
        self._audience = audience

    @classmethod
    def load(cls, settings: TokenSettings) -> Keyring | None:
        """Read the keys that are configured; None where there are none. Raises `ConfigurationError`."""
        from daena_mesh.token_keys import keyring_of

        return keyring_of(settings)

    def __repr__(self) -> str:
        return f"Keyring({len(self._signers)} keys)"

    def verify(self, token: bytes, at: float) -> Claims:
        """Read a token.

        Args:
            token: in compact form, three parts of base64url joined by dots.
            at: the time, in seconds since 1970; it must lie before ``exp``, and not before ``nbf``.

        Raises:
            InvalidToken: it is none, is not signed by one of our keys with the algorithm of that key, is from or for
                somebody else, or its time has not come or is over.
        """
        return self.examine(token, at)[0]

    def examine(self, token: bytes, at: float) -> tuple[Claims, str]:
        """Read a token as `verify` does, and tell which of the public keys it was signed for: empty for a secret."""
        if len(token) > MOST_TOKEN_BYTES:
            raise InvalidToken("the token is too long")
        signed, _, signature = token.rpartition(b".")
        head, _, body = signed.partition(b".")
        key = ""
        try:
            for sign in self._signers:
                if compare_digest(sign(signed), signature):
                    if head not in self._heads:
                        self._check_head(head)
                    break
            else:
                if self.public is None:
                    raise InvalidToken("the token's signature is not ours")
                key = self.public.check(token)
            claims = _claims_of(decoded(body))
        except (msgspec.DecodeError, Base64Error, UnicodeDecodeError):
            raise InvalidToken("the token does not say what it must: sub, exp, mesh") from None
        if not claims.exp > at:
            raise InvalidToken("the token has expired")
        if claims.nbf > at:
            raise InvalidToken("the token is not valid yet")
        if claims.aud or claims.iss or self._issuer or self._audience:
            self._check_parties(claims)
        return claims, key

    def _check_parties(self, claims: Claims) -> None:
        """RFC 7519, sections 4.1.1 and 4.1.3: a token that is for somebody is not for others."""
        if self._issuer and claims.iss != self._issuer:
            raise InvalidToken("the token is from another issuer")
        audience = (claims.aud,) if isinstance(claims.aud, str) else claims.aud
        if (self._audience or claims.aud) and (not self._audience or self._audience not in audience):
            raise InvalidToken("the token is for another audience")

    def awaited(self, token: bytes) -> Jwks | None:
        """Where the key may come from that a token names and nobody knows yet; None: nothing is to wait for."""
        return None if self.public is None else self.public.awaited(token)

    async def settled(self, token: bytes) -> None:
        """Wait until it is known whether there is such a key, for a few seconds at most."""
        if (source := self.awaited(token)) is not None:
            await source.fetched()

    def counts(self, key: str) -> bool:
        """Whether a key still counts that `examine` has told."""
        return not key or (self.public is not None and self.public.counts(key))

    @property
    def source(self) -> Jwks | None:
        """Where public keys are fetched; somebody has to `run` it."""
        return None if self.public is None else self.public.source

    @property
    def is_blind(self) -> bool:
        """Whether keys are to be fetched, and none ever were, or so long ago that they do not count."""
        return self.source is not None and not self.source.is_known

    def _check_head(self, head: bytes) -> None:
        said = read_head(head)
        if said.alg != "HS256" or said.crit is not msgspec.UNSET:
            raise InvalidToken("the token is signed in a way that is not known here")
        if len(self._heads) < _MOST_HEADS:
            self._heads.add(head)

    @property
    def is_empty(self) -> bool:
        """Whether there is no key at all at the moment, so that no token would do."""
        return not self._signers and (self.public is None or self.public.is_empty)

    def mint(self, claims: Claims) -> str:
        """Sign ``claims`` with the first secret, as our issuer for our audience; raises `ConfigurationError`."""
        if not self._signers:
            raise ConfigurationError("public keys check tokens; who signs one needs a private key")
        return _minted(self.addressed(claims), self._signers[0])

    def addressed(self, claims: Claims) -> Claims:
        """The same claims from our issuer, for our audience."""
        return msgspec.structs.replace(claims, iss=self._issuer or claims.iss, aud=self._audience or claims.aud)


def mint(claims: Claims | dict[str, Any], key: bytes) -> str:
    """Sign ``claims`` with ``key``: the token in compact form."""
    return _minted(claims, _signer(key))


def _minted(claims: Claims | dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    signed = encoded(b'{"alg":"HS256","typ":"JWT"}') + b"." + encoded(msgspec.json.encode(claims))
    return (signed + b"." + sign(signed)).decode()


def _signer(key: bytes) -> Callable[[bytes], bytes]:
    """HMAC SHA-256 (RFC 2104) with what depends on the key alone done once: `hmac.digest` takes twice as long."""
    block = (key if len(key) <= 64 else sha256(key).digest()).ljust(64, b"\0")
    inside, outside = sha256(bytes(byte ^ 0x36 for byte in block)), sha256(bytes(byte ^ 0x5C for byte in block))

    def sign(text: bytes) -> bytes:
        inner, outer = inside.copy(), outside.copy()
        inner.update(text)
        outer.update(inner.digest())
        return encoded(outer.digest())

    return sign
