"""``Forwarded`` (RFC 7239): who a client is, as a trusted proxy says it, for those that do not write `X-Forwarded-For`.

Only one of the two is read: a proxy that writes one lets a client's own word in the other pass.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_HEADERS = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-proto"})
_next_pair = re.compile(
    r"[ \t]*([A-Za-z0-9!#$%&'*+.^_`|~-]+)=(?:([A-Za-z0-9!#$%&'*+.^_`|~:\[\]-]+)|\"((?:[^\"\\]|\\.)*)\")[ \t]*(;|,|$)"
).match


class Hop(NamedTuple):
    """What one proxy says of who came to it."""

    client: str
    scheme: str = ""


def hops(value: str) -> list[Hop]:
    """Read the header, the nearest proxy last; what cannot be read makes it none at all."""
    found: list[Hop] = []
    pairs: dict[str, str] = {}
    at = 0
    while at < len(value):
        pair = _next_pair(value, at)
        if pair is None or pair[1].lower() in pairs:
            return []
        name, token, quoted, end = pair.groups()
        pairs[name.lower()] = token if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        at = pair.end()
        if end != ";":
            found.append(Hop(pairs.get("for", ""), pairs.get("proto", "").lower()))
            pairs = {}
    return [] if pairs or value.rstrip().endswith(",") else found


class ForwardedHeaders(ProxyHeadersMiddleware):
    """Reads ``Forwarded`` in place of ``X-Forwarded-For`` and ``X-Forwarded-Proto``, which nobody is believed then."""

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Give the application the client that the nearest proxy we do not trust came from."""
        if scope["type"] != "lifespan":
            headers = list(scope["headers"])
            said = b",".join(value for name, value in headers if name == b"forwarded").decode("latin-1")
            kept = [(name, value) for name, value in headers if name not in _HEADERS]
            scope["headers"] = [*kept, *self._as_others_say_it(said)]
        await super().__call__(scope, receive, send)

    def _as_others_say_it(self, said: str) -> list[tuple[bytes, bytes]]:
        hop = self.hop(said)
        client = self.trusted_hosts.get_trusted_client_address(hop.client)[0] if hop is not None else ""
        if hop is None or not client:
            return []
        scheme = [(b"x-forwarded-proto", hop.scheme.encode("latin-1"))] if hop.scheme else []
        return [(b"x-forwarded-for", client.encode("latin-1")), *scheme]

    def hop(self, said: str) -> Hop | None:
        """The client in what a trusted proxy says: the last that is no trusted proxy itself."""
        there = hops(said)
        if self.trusted_hosts.always_trust:
            return next(iter(there), None)
        chosen: Hop | None = None
        for chosen in reversed(there):
            if self.trusted_hosts.get_trusted_client_address(chosen.client)[0] not in self.trusted_hosts:
                break
        return chosen
