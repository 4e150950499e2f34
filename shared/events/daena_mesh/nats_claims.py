"""The claims of NATS, version 2: JWTs of operators, accounts and users, and the ``.creds`` file of a user.

Pure: who signs is given. The form is that of ``github.com/nats-io/jwt/v2``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from daena_mesh.errors import ConfigurationError

_HEADER = b'{"typ":"JWT","alg":"ed25519-nkey"}'
_UNLIMITED = {"subs": -1, "data": -1, "payload": -1}
_ACCOUNT = {**_UNLIMITED, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}
_JETSTREAM = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
_find_jwt = re.compile(r"-----BEGIN NATS USER JWT-----\s+([A-Za-z0-9_.-]+)\s+-+END NATS USER JWT-+").search


class Signer(Protocol):
    """A pair of keys: `daena_mesh.nats_keys` makes them."""

    @property
    def public(self) -> str:
        """The public key, as text that begins with its kind."""

    def sign(self, data: bytes) -> bytes:
        """The signature of ``data``."""


class User(NamedTuple):
    """What the claims of a user say."""

    name: str
    public: str
    tags: tuple[str, ...]
    expires_at: int = 0
    """In seconds since 1970; 0: never."""


def operator_claims(name: str, system_account: str) -> dict[str, Any]:
    """Who the servers trust, and which account is the servers' own."""
    return {"name": name, "nats": {"type": "operator", "system_account": system_account}}


def system_claims() -> dict[str, Any]:
    """The account in which the servers tell of themselves."""
    return {"name": "SYS", "nats": {"type": "account", "limits": _ACCOUNT}}


def app_claims(
    scopes: Mapping[str, tuple[str, Mapping[str, Any]]], revoked: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """The account in which the mesh lives.

    ``scopes`` are the signing keys by their role: a public key, and the template of all that it signs. ``revoked`` are
    public keys of users, with the time, in seconds, up to which what was signed for them does not count.
    """
    keys = [
        {"kind": "user_scope", "key": key, "role": role, "template": template}
        for role, (key, template) in scopes.items()
    ]
    claims = {"type": "account", "limits": {**_ACCOUNT, **_JETSTREAM}, "signing_keys": keys}
    if revoked:
        claims["revocations"] = dict(revoked)
    return {"name": "MESH", "nats": claims}


def user_claims(name: str, account: str, tags: list[str], expires_at: int = 0) -> dict[str, Any]:
    """A user of ``account`` under a signing key with a template: rights of its own would be refused."""
    claims: dict[str, Any] = {"name": name, "nats": {"type": "user", "issuer_account": account, "tags": tags}}
    return {**claims, "exp": expires_at} if expires_at else claims


def system_user_claims(name: str) -> dict[str, Any]:
    """A user who may do everything in the system's account, by whose own key it is signed."""
    return {"name": name, "nats": {"type": "user", **_UNLIMITED}}


def signed(claims: Mapping[str, Any], subject: str, issuer: Signer, issued_at: int) -> str:
    """The JWT of ``claims`` about the key ``subject``, issued at ``issued_at``, in seconds."""
    whole = {
        **claims,
        "iat": issued_at,
        "iss": issuer.public,
        "sub": subject,
        "nats": {"version": 2, **claims["nats"]},
    }
    digest = hashlib.sha256(msgspec.json.encode(whole)).digest()
    whole["jti"] = base64.b32encode(digest).decode().rstrip("=")
    body = f"{_base64(_HEADER)}.{_base64(msgspec.json.encode(whole))}"
    return f"{body}.{_base64(issuer.sign(body.encode()))}"


def creds_text(jwt: str, seed: str) -> str:
    """What a ``.creds`` file holds: the JWT, and the seed to which its key belongs."""
    return (
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        "************************* IMPORTANT *************************\n"
        "The seed below is a secret: who has it can do what this user may.\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )


def user_in(text: str) -> User:
    """Who the user of a ``.creds`` file is; raises `ConfigurationError` where there is none in it."""
    found = _find_jwt(text)
    try:
        claims = claims_of(found[1]) if found else {}
        return User(claims["name"], claims["sub"], tuple(claims["nats"].get("tags", ())), int(claims.get("exp", 0)))
    except (KeyError, AttributeError, TypeError, ValueError):
        raise ConfigurationError("this is no credentials file of NATS: there is no JWT of a user in it") from None


def claims_of(jwt: str) -> dict[str, Any]:
    """What a JWT says, unchecked: NATS checks it; raises `ConfigurationError` where it is none."""
    try:
        body = jwt.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=dict[str, Any])
    except (IndexError, binascii.Error, msgspec.DecodeError, ValueError):
        raise ConfigurationError("this is no JWT of NATS") from None
    return claims


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
