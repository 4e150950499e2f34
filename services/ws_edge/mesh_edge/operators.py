"""Who may look at the connections of others: operators."""

from __future__ import annotations

import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

from daena_mesh.errors import InvalidToken
from daena_mesh.revocations import Revoked, token_id
from daena_mesh.tokens import Keyring
from mesh_edge.gate import Refusal

if TYPE_CHECKING:
    from fastapi import Request

    from daena_mesh.origin import OriginPolicy

_EVERYTHING = (">",)
_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_OF_PROXIES = ("forwarded", "via", "x-forwarded-for", "x-real-ip")


class Operators:
    """With tokens: whoever may read everything. Without: whoever is on this machine, and does not come by a proxy."""

    def __init__(self, keyring: Keyring | None, origins: OriginPolicy, revoked: Revoked) -> None:
        """``keyring`` has the keys of tokens; None where nobody authenticates."""
        self._keyring = keyring
        self._origins = origins
        self._revoked = revoked

    async def settled(self, request: Request) -> None:
        """Wait until a token can be checked, mostly not at all."""
        if self._keyring is not None:
            await self._keyring.settled(_token(request).encode())

    def check(self, request: Request) -> None:
        """Raises `Refusal`."""
        if self._keyring is None:
            self._check_place(request)
        else:
            self._check_token(self._keyring, _token(request))

    def _check_token(self, keyring: Keyring, token: str) -> None:
        if not token:
            raise Refusal(401, "a token is needed: Authorization: Bearer …", _CHALLENGE)
        try:
            claims = keyring.verify(token.encode(), time.time())
        except InvalidToken as error:
            raise Refusal(401, str(error), _CHALLENGE) from None
        if self._revoked.refuses(claims.sub, claims.iat, token_id(token)):
            raise Refusal(401, "the token was revoked", _CHALLENGE)
        if not claims.mesh.may_read(_EVERYTHING):
            raise Refusal(403, "the token does not allow to read everything ('>')")

    def _check_place(self, request: Request) -> None:
        headers = request.headers
        if any(name in headers for name in _OF_PROXIES):
            raise Refusal(403, "nobody authenticates here, so this is not shown through a proxy")
        if request.client is None or not _is_loopback(request.client.host):
            raise Refusal(403, "nobody authenticates here, so this is only shown on the machine of the edge")
        # A page whose own name was rebound to 127.0.0.1 brings that name along.
        origins, hosts = headers.getlist("origin"), headers.getlist("host")
        if not self._origins.allows(",".join(origins) or None, ",".join(hosts) or None):
            raise Refusal(403, "pages of other origins are not shown this")


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
