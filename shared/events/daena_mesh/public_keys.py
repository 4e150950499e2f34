"""Public keys of tokens: what others sign with private keys, RS256, ES256 and EdDSA (RFC 7518, 8037), is checked here.

Needs PyJWT and cryptography, which come with the extra ``server``; imported only where such keys are configured. Each
key serves one algorithm, which its own kind decides and no token: so none can be mistaken for a secret.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from jwt import PyJWK, PyJWS
from jwt.exceptions import PyJWTError

from daena_mesh.errors import ConfigurationError, InvalidToken
from daena_mesh.jose import Head, decoded, read_head

if TYPE_CHECKING:
    from daena_mesh.jwks import Jwks
    from daena_mesh.tokens import Claims

MOST_KEYS = 64
_MOST_TRIED = 8
"""Keys for one token: where none is named, each signature that is tried costs time."""
_RSA_BITS = range(2_048, 8_193)
_jws = PyJWS(algorithms=["RS256", "ES256", "EdDSA"])

AnyPublic: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


class UnknownKey(InvalidToken):
    """No key that is here has signed it."""


class PublicKey(NamedTuple):
    """A key, and what it is for."""

    kid: str
    """Its name; empty where it has none, as in a PEM file: then it is tried for all tokens of its algorithm."""
    alg: str
    key: AnyPublic
    ident: str
    """The same for the same key, whatever its name."""


class PublicKeys:
    """All that count: those that are ``given``, and those of ``source``, as they are at the moment."""

    __slots__ = ("_given", "source")

    def __init__(self, given: Sequence[PublicKey], source: Jwks | None = None) -> None:
        self._given = tuple(given)
        self.source = source

    def _all(self) -> tuple[PublicKey, ...]:
        return self._given if self.source is None else self._given + self.source.keys

    def _for(self, head: Head) -> list[PublicKey]:
        """Those that may have signed a token: of its algorithm, and of the name that it tells, if both have one."""
        if head.crit is not msgspec.UNSET:
            raise InvalidToken("the token is signed in a way that is not known here")
        kid = head.kid
        return [key for key in self._all() if key.alg == head.alg and (key.kid == kid or not (key.kid and kid))]

    def check(self, token: bytes) -> str:
        """Check the signature of a token, and tell which key it is from.

        Raises `InvalidToken`, or what `daena_mesh.jose` does, for whatever is none.
        """
        head = read_head(token.partition(b".")[0])
        decoded(token.rpartition(b".")[2])  # in one spelling only
        for key in self._for(head)[:_MOST_TRIED]:
            if _is_signed(token, key):
                return key.ident
        raise UnknownKey("the token is signed with a key that is not known here")

    def awaited(self, token: bytes) -> Jwks | None:
        """Where the key may come from that a token names; None: it is here, or it is too early to ask again."""
        if self.source is None or not self.source.may_bring_more:
            return None
        try:
            head = read_head(token.partition(b".")[0])
            if head.alg not in _jws.get_algorithms():
                return None
            if any(key.kid and key.kid == head.kid for key in self._for(head)):
                return None
            self.check(token)
        except UnknownKey:
            return self.source
        except (InvalidToken, msgspec.DecodeError, Base64Error, UnicodeDecodeError):
            return None
        return None

    @property
    def is_empty(self) -> bool:
        """Whether there is none at the moment."""
        return not self._all()

    def counts(self, ident: str) -> bool:
        """Whether a key is still one of them."""
        return any(key.ident == ident for key in self._all())


def _is_signed(token: bytes, key: PublicKey) -> bool:
    try:
        _jws.decode(token, key.key, algorithms=[key.alg])
    except PyJWTError:
        return False
    return True


def read_pem(block: str) -> PublicKey:
    """Read one block of PEM; raises `ConfigurationError`, without what is in it."""
    if "PRIVATE KEY" in block:
        raise ConfigurationError("this is a private key; who checks tokens has the public one (`openssl pkey -pubout`)")
    if "CERTIFICATE" in block:
        raise ConfigurationError("this is a certificate; `openssl x509 -pubkey -noout` shows its public key")
    try:
        key = serialization.load_pem_public_key(block.encode())
    except Exception:  # noqa: BLE001 - whatever it does not like, and no part of the key into a message
        raise ConfigurationError("this is no public key in PEM") from None
    return _known("", key)


def read_jwks(document: bytes) -> list[PublicKey]:
    """Read a set of keys (RFC 7517, section 5), leaving out what is no public key for signatures.

    Raises `ValueError`.
    """
    try:
        said = msgspec.json.decode(document, type=dict[str, Any]).get("keys")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = None
    if not isinstance(said, list):
        raise ValueError("this is no set of keys")  # noqa: TRY004 - of whatever type it is
    found = list(_keys_in(said[: 2 * MOST_KEYS]))
    if not found:
        raise ValueError("no key of this set is one for RS256, ES256 or EdDSA")
    return found[:MOST_KEYS]


def _keys_in(said: Sequence[Any]) -> Iterator[PublicKey]:
    for jwk in said:
        if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig" or "d" in jwk:
            continue
        operations = jwk.get("key_ops", ["verify"])
        kid = jwk.get("kid", "")
        if not isinstance(operations, list) or "verify" not in operations or not isinstance(kid, str):
            continue
        alg = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}.get(str(jwk.get("kty")))
        if alg is None or jwk.get("alg", alg) != alg:
            continue
        try:
            yield _known(kid, PyJWK(jwk, algorithm=alg).key)
        except Exception:  # noqa: BLE001, S112 - one key that makes no sense does not take the others away
            continue


def _known(kid: str, key: object) -> PublicKey:
    """Tell what a key is for; raises `ConfigurationError`."""
    if isinstance(key, RSAPublicKey):
        alg = "RS256"
        if key.key_size not in _RSA_BITS:
            raise ConfigurationError(f"an RSA key has {key.key_size} bits; 2048 to 8192 are accepted")
    elif isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        alg = "ES256"
    elif isinstance(key, Ed25519PublicKey):
        alg = "EdDSA"
    else:
        raise ConfigurationError("a key is neither RSA nor P-256 nor Ed25519")
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(kid, alg, key, sha256(der).hexdigest()[:32])


def sign(claims: Claims, pem: bytes) -> str:
    """Sign ``claims`` with a private key (PEM), with the algorithm of its kind; raises `ConfigurationError`."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        raise ConfigurationError("the private key is encrypted; `openssl pkey` takes the passphrase away") from None
    except Exception:  # noqa: BLE001 - as in `read_pem`
        raise ConfigurationError("this is no private key in PEM") from None
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey):
        raise ConfigurationError("a key is neither RSA nor P-256 nor Ed25519")
    return _jws.encode(msgspec.json.encode(claims), key, _known("", key.public_key()).alg)
