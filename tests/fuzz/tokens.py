"""Tokens, sets of public keys, and the answer of whoever publishes them: each is read, or refused in one way."""

from __future__ import annotations

import json
from contextlib import suppress

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from daena_mesh.errors import InvalidToken
from daena_mesh.fetching import FetchFailed, read_answer
from daena_mesh.public_keys import PublicKeys, read_jwks
from daena_mesh.revocations import token_id
from daena_mesh.tokens import Claims, Keyring

_SECRET = b"a key of tests, of thirty-two bytes"
_CURVE = derive_private_key(7, SECP256R1())
_EDWARDS = Ed25519PrivateKey.from_private_bytes(bytes(32))
_SET = json.dumps(
    {
        "keys": [
            {**ECAlgorithm.to_jwk(_CURVE.public_key(), as_dict=True), "kid": "curve"},
            {**OKPAlgorithm.to_jwk(_EDWARDS.public_key(), as_dict=True), "kid": "edwards", "key_ops": ["verify"]},
        ]
    }
).encode()
_KEYS = Keyring([_SECRET], public=PublicKeys(read_jwks(_SET)))
_CLAIMS = {"sub": "ada", "exp": 4_102_444_800, "mesh": {"read": ["chat.s1.>"], "write": ["chat.s1.message"]}}
_AT = 1_000.0


def check(data: bytes) -> None:
    """Each of them, whatever they are."""
    with suppress(InvalidToken):
        claims, key = _KEYS.examine(data, _AT)
        assert isinstance(claims, Claims)
        assert claims.exp > _AT
        assert _KEYS.counts(key)
    assert _KEYS.awaited(data) is None
    token_id(data.decode(errors="replace"))
    with suppress(ValueError):
        assert read_jwks(data)
    with suppress(FetchFailed):
        assert read_answer(data).status >= 100


SEEDS = [
    _KEYS.mint(Claims(sub="ada", exp=4_102_444_800)).encode(),
    jwt.encode(_CLAIMS, _CURVE, "ES256", headers={"kid": "curve"}).encode(),
    jwt.encode(_CLAIMS, _EDWARDS, "EdDSA").encode(),
    _SET,
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 302 Found\r\nLocation: /keys\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
]
