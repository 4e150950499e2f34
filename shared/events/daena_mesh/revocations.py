"""Tokens that are refused before they expire: of a user, all that were made so far, or a single one.

They lie in the bucket REVOKED, under ``user.<hash of the sub>`` and ``token.<beginning of its signature>``. Every edge
and API looks there each second, so all of them know within two.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Annotated

import msgspec
from msgspec import Meta

from daena_mesh.connection import header_block
from daena_mesh.errors import MeshUnavailable
from daena_mesh.log import acknowledged
from daena_mesh.mesh import Mesh

STREAM = "KV_REVOKED"
_KEYS = "$KV.REVOKED."
_LOOK_S = 1.0
_WRITE_S = 5.0
_LATER_S = 60
"""Clocks differ: what is revoked stays so for that much longer than it is good."""
_MOST_TTL_S = 10 * 366 * 86_400
_ID_CHARS = 22
_is_token_id = re.compile(r"[A-Za-z0-9_-]{22}").fullmatch
_log = logging.getLogger(__name__)


class Revocation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of the bucket.

    Args:
        at: when it was revoked, in seconds since 1970.
        user: whose tokens are refused that were made before; None where ``token`` is.
        token: the id of the one that is refused.
    """

    at: float
    user: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    token: str | None = None

    @property
    def key(self) -> str:
        """Where it lies."""
        if self.user is not None:
            return f"{_KEYS}user.{sha256(self.user.encode(errors='replace')).hexdigest()[:32]}"
        return f"{_KEYS}token.{self.token}"


_read = msgspec.json.Decoder(Revocation).decode


def token_id(token: str) -> str:
    """What names a token without being of any use to whoever sees it; empty for what is none."""
    ident = token.rpartition(".")[2][:_ID_CHARS]
    return ident if _is_token_id(ident) else ""


class Revoked:
    """What is revoked, as far as it is known. Pure."""

    def __init__(self) -> None:
        self._users: dict[str, float] = {}
        self._tokens: set[str] = set()

    def __len__(self) -> int:
        return len(self._users) + len(self._tokens)

    def add(self, revocation: Revocation) -> None:
        """Refuse what it names from now on."""
        if revocation.user is not None:
            self._users[revocation.user] = max(revocation.at, self._users.get(revocation.user, 0))
        elif revocation.token:
            self._tokens.add(revocation.token)

    def refuses(self, user: str | None, issued: float, ident: str) -> bool:
        """Whether the token ``ident`` of ``user`` is refused, which was made at ``issued`` (0: nobody knows when)."""
        if not self._users and not self._tokens:
            return False
        return ident in self._tokens or (user is not None and issued < self._users.get(user, -math.inf))


class Revocations:
    """Follows the bucket."""

    def __init__(self, mesh: Mesh, revoked: Revoked) -> None:
        """Through ``mesh``, into ``revoked``."""
        self.revoked = revoked
        self.is_known = False
        """Whether the bucket was read."""
        self.malformed = 0
        self._mesh = mesh
        self._seen = 0
        self._connects = 0

    async def run(self, changed: Callable[[], None] | None = None) -> None:
        """For ever; ``changed`` is called after each look that found something."""
        while True:
            try:
                found = await self.look()
            except MeshUnavailable as error:
                _log.debug("revocations cannot be read: %s", error)
            else:
                if found and changed is not None:
                    changed()
            await asyncio.sleep(_LOOK_S)

    async def look(self) -> int:
        """Read what came since; give how much that is. Raises `MeshUnavailable`."""
        connection, found = self._mesh.connection, 0
        await connection.wait_ready(_WRITE_S)
        if connection.connects != self._connects:  # after a reconnect the bucket may be another one
            self._seen, self._connects = 0, connection.connects
        while True:
            batch = await self._mesh.log.batch(STREAM, f"{_KEYS}>", self._seen)
            for message in batch.messages:
                self._seen = message.seq
                found += self._take(message.body)
            if not batch.pending or not batch.messages:
                self.is_known = True
                return found

    def _take(self, body: bytes) -> bool:
        try:
            self.revoked.add(_read(body))
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.malformed += 1
            return False
        return True


async def revoke(mesh: Mesh, *, user: str | None = None, token: str | None = None, exp: float = math.inf) -> None:
    """Refuse all tokens of ``user`` made by now, or the one whose id is ``token``, which is good until ``exp``.

    Raises `MeshUnavailable`; it may have happened then.
    """
    revocation = Revocation(time.time(), user, token)
    left = exp - revocation.at + _LATER_S
    lasting = user is not None or left > _MOST_TTL_S
    headers = b"" if lasting else header_block({"Nats-TTL": str(max(_LATER_S, math.ceil(left)))})
    body = msgspec.json.encode(revocation)
    reply = await mesh.connection.request(revocation.key, body, timeout_s=_WRITE_S, headers=headers)
    if acknowledged(STREAM, reply) is None:
        raise MeshUnavailable("the bucket REVOKED is not there; an API makes it")
