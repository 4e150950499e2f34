"""Pairs of keys as NATS has them (nkeys): Ed25519, written with their kind and a checksum."""

from __future__ import annotations

import secrets
from importlib.util import find_spec
from typing import Literal, Self

from daena_mesh.errors import ConfigurationError

Kind = Literal["operator", "account", "user"]


class KeyPair:
    """A pair of keys: what `daena_mesh.nats_claims` signs with."""

    def __init__(self, seed: str) -> None:
        """``seed`` is the secret, which everything else follows from. Raises `ConfigurationError`."""
        check_installed()
        import nkeys

        self.seed = seed
        try:
            self._pair = nkeys.from_seed(bytearray(seed, "ascii"))
        except (ValueError, nkeys.NkeysError):
            raise ConfigurationError("a file of keys holds no seed of NATS") from None

    @classmethod
    def new(cls, kind: Kind) -> Self:
        """A fresh pair of a kind; raises `ConfigurationError`."""
        check_installed()
        import nkeys

        prefixes = {
            "operator": nkeys.PREFIX_BYTE_OPERATOR,
            "account": nkeys.PREFIX_BYTE_ACCOUNT,
            "user": nkeys.PREFIX_BYTE_USER,
        }
        return cls(nkeys.encode_seed(secrets.token_bytes(32), prefixes[kind]).decode())

    @property
    def public(self) -> str:
        """The public key, which begins with O, A or U."""
        public: bytes = self._pair.public_key
        return public.decode()

    def sign(self, data: bytes) -> bytes:
        """The signature of ``data``."""
        signature: bytes = self._pair.sign(data)
        return signature


def check_installed() -> None:
    """Raise `ConfigurationError` where the packages are missing that sign."""
    if find_spec("nkeys") is None or find_spec("nacl") is None:
        raise ConfigurationError("credentials of NATS need nkeys; install it: pip install 'daena-mesh[creds]'")
