"""Who may come in: one decision for every door, without any I/O.

The route of FastAPI and the lean door ask the same questions in the same order. Whatever is refused before the upgrade
gets an HTTP status; tokens are refused after it, by a close code, since browsers show no status of a handshake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import msgspec
from starlette.responses import Response

from daena_mesh.errors import InvalidId, InvalidToken
from daena_mesh.origin import OriginPolicy
from daena_mesh.revocations import Revoked, token_id
from daena_mesh.tokens import Claims, Keyring
from mesh_edge import closing
from mesh_edge.closing import Closing
from mesh_edge.credentials import MOST_USER_AGENT, Knock, Places, token_of
from mesh_edge.crowd import Crowd
from mesh_edge.follow import Follow
from mesh_edge.link import Link, Visitor
from mesh_edge.presence import check_who
from mesh_edge.settings import EdgeSettings
from mesh_edge.token_bucket import TokenBucket
from mesh_edge.topic_name import TopicName

PROBLEM = "application/problem+json"


class Refusal(Exception):
    """Somebody is not let in: the HTTP status of the answer, one sentence, and the reason in one word."""

    def __init__(
        self, status: int, detail: str, headers: Mapping[str, str] | None = None, *, reason: str = "request"
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})
        self.reason = reason

    def body(self, title: str) -> bytes:
        """The answer, a problem (RFC 9457) as JSON."""
        return msgspec.json.encode({"type": "about:blank", "title": title, "status": self.status, "detail": str(self)})

    def response(self, title: str) -> Response:
        """The same for FastAPI."""
        return Response(self.body(title), self.status, self.headers, media_type=PROBLEM)


class Denied(Exception):
    """Somebody is turned away once the WebSocket is open, since browsers show no status of a handshake."""

    def __init__(self, why: Closing) -> None:
        super().__init__(why.reason)
        self.why = why
        self.status = why.code
        self.reason = why.name

    @property
    def refusal(self) -> Refusal:
        """The same as an answer of HTTP."""
        headers = {"WWW-Authenticate": "Bearer"} if self.why is closing.UNAUTHENTICATED else {}
        if self.why is closing.TOO_MANY:
            headers = {"Retry-After": str(_CROWDED_S)}
        return Refusal(_STATUSES[self.why], self.why.reason, headers, reason=self.reason)


class Silent(Denied):
    """Nobody has shown a token at all. A WebSocket may do so in its first message."""

    def __init__(self) -> None:
        super().__init__(closing.UNAUTHENTICATED)


UNSURE = closing.RESTART._replace(reason="who may follow this session is not known at the moment")
"""As if the edge restarted: whoever comes back is asked again."""

_ID_OF_SECRET = slice(-43, -21)
"""Where the `token_id` is of a token that a secret signed, whose signature is 32 bytes of base64url."""

_CROWDED_S = 10
_BLIND_S = 5
_STATUSES = {closing.UNAUTHENTICATED: 401, closing.FORBIDDEN: 403, closing.TOO_MANY: 429}


_Examined: TypeAlias = tuple[Claims, str, str]
"""A token that is good: what it says, which public key it was signed for (empty: a secret), and what names it where it
is revoked. A plain tuple, since one is made for each who comes."""


class Gate:
    """The rules of one edge."""

    def __init__(self, settings: EdgeSettings) -> None:
        """Raises `ConfigurationError`."""
        self.keyring = Keyring.load(settings)
        self.revoked = Revoked()
        self.is_open = settings.open_loopback and self.keyring is None
        """Nobody authenticates, on loopback."""
        self.is_draining = False
        """Nobody is let in any more."""
        self.origins = OriginPolicy(
            settings.listed_origins(),
            open_loopback=self.is_open,
            tools=self.keyring is not None,
        )
        self._awaits_tokens = settings.auth_within_s > 0
        self._places = Places(settings.token_cookie, settings.token_in_query)
        self._per_s = settings.handshakes_per_s
        self._bucket = TokenBucket()
        self._addresses = Crowd(settings.sockets_per_address)
        self.asks_for_addresses = settings.sockets_per_address > 0
        """Whether `Knock.address` counts for anything."""
        self._users = Crowd(settings.sockets_per_user)

    def knock(self, knock: Knock, at: float, *, own_pages_are_silent: bool = False) -> None:
        """Whether somebody may ask for anything at all, at the monotonic time ``at``; raises `Refusal`.

        ``own_pages_are_silent``: of requests as this one a browser tells the origin only where it is another one.
        """
        if not self._bucket.take(at, self._per_s):
            detail = "too many clients connect at once; MESH_HANDSHAKES_PER_S allows more"
            raise Refusal(429, detail, {"Retry-After": "1"}, reason="rate")
        is_own = own_pages_are_silent and knock.origin is None
        if not is_own and not self.origins.allows(knock.origin, knock.host):
            shown = "none" if knock.origin is None else ascii(knock.origin[:100])
            detail = f"pages of origin {shown} may not connect here; MESH_ORIGINS allows more"
            raise Refusal(403, detail, reason="origin")
        self._check_draining()

    def settle(self, knock: Knock, go: Callable[[], object]) -> None:
        """Call ``go`` once the public key is there that a token may need: at once, or when it was fetched."""
        keyring = self.keyring
        source = keyring and keyring.public and keyring.awaited(token_of(knock, self._places).encode(errors="replace"))
        if source:
            source.when_fetched(go)
        else:
            go()

    async def settled(self, knock: Knock) -> None:
        """Wait for the same."""
        if self.keyring is not None and self.keyring.public is not None:
            await self.keyring.settled(token_of(knock, self._places).encode(errors="replace"))

    def authorize(self, knock: Knock, topic: TopicName | None, at: float) -> Visitor:
        """Who it is, at ``at`` seconds since 1970, if they may read all that ``topic`` carries, or be `shown` a part.

        Without a topic they are let in with what they may ask for. Raises `Denied`, which is `Silent` where a token may
        still come, and `Refusal` for a name that is none.
        """
        user_agent = knock.user_agent[:MOST_USER_AGENT]
        if self.keyring is None:
            return Visitor(user_agent, who=knock.who and self._name(knock.who), address=knock.forwarded)
        token = token_of(knock, self._places)
        if not token and self._awaits_tokens:
            raise Silent
        examined = self._examine(self.keyring, token, at)
        rights = examined[0].mesh
        may_read: tuple[str, ...] | None = rights.read
        if topic is not None:
            if rights.may_read(topic.patterns):
                may_read = None
            elif topic.granted(rights.read) is None:
                raise Denied(closing.FORBIDDEN)
        return _visitor(examined, may_read, user_agent, knock.forwarded)

    @staticmethod
    def shown(visitor: Visitor, follow: Follow) -> Follow:
        """What a visitor is shown of what they asked for, which `authorize` has allowed."""
        if visitor.may_read is None:
            return follow
        granted = follow.name.granted(visitor.may_read)
        return follow._replace(name=granted or follow.name._replace(patterns=()))

    def _examine(self, keyring: Keyring, token: str, at: float) -> _Examined:
        """Read a token that is good and not refused; raises `Denied` and `Refusal`."""
        try:
            claims, key = keyring.examine(token.encode(errors="replace"), at)
        except InvalidToken:
            if token and keyring.is_blind:
                detail = "the public keys of tokens cannot be had at the moment"
                raise Refusal(503, detail, {"Retry-After": str(_BLIND_S)}, reason="keys") from None
            raise Denied(closing.UNAUTHENTICATED) from None
        ident = token_id(token) if key else token[_ID_OF_SECRET]  # which was compared: nothing is left to check
        if self._is_refused(key, claims.sub, claims.iat, ident):
            raise Denied(closing.UNAUTHENTICATED)
        return claims, key, ident

    def is_revoked(self, visitor: Visitor) -> bool:
        """Whether its token is refused meanwhile, or the public key of it counts no more."""
        return self._is_refused(visitor.key, visitor.user, visitor.issued, visitor.token_id)

    def _is_refused(self, key: str, user: str | None, issued: float, ident: str) -> bool:
        if key and (self.keyring is None or not self.keyring.counts(key)):
            return True
        return self.revoked.refuses(user, issued, ident)

    def renew(self, visitor: Visitor, token: str, patterns: Iterable[str], at: float) -> Visitor:
        """The visitor who shows a fresh token, at ``at``, and goes on to read ``patterns``.

        Raises `Denied`, and `Refusal` where it cannot be checked.
        """
        if self.keyring is None:
            raise Denied(closing.UNAUTHENTICATED)
        examined = self._examine(self.keyring, token, at)
        claims = examined[0]
        if claims.sub != visitor.user or not claims.mesh.may_read(patterns):
            raise Denied(closing.FORBIDDEN)
        may_read = None if visitor.may_read is None else claims.mesh.read
        return _visitor(examined, may_read, visitor.user_agent, visitor.address)

    def _name(self, who: str) -> str | None:
        try:
            return check_who(who, is_open=self.is_open)
        except InvalidId as error:
            raise Refusal(400, str(error)) from None

    def last_look(self, knock: Knock, visitor: Visitor) -> None:
        """Whether they may still enter, after they waited for their topic; raises `Refusal` and `Denied`."""
        self._check_draining()
        if self._addresses.is_full(knock.address):
            detail = "this address has as many connections as it may; MESH_SOCKETS_PER_ADDRESS allows more"
            raise Refusal(429, detail, {"Retry-After": str(_CROWDED_S)}, reason="address")
        if self._users.is_full(visitor.user):
            raise Denied(closing.TOO_MANY)

    def entered(self, link: Link, knock: Knock) -> None:
        """Somebody has come in."""
        self._addresses.enter(link, knock.address)
        self._users.enter(link, link.visitor.user)

    def left(self, link: Link) -> None:
        """Somebody is gone."""
        self._addresses.leave(link)
        self._users.leave(link)

    def _check_draining(self) -> None:
        if self.is_draining:
            raise Refusal(503, "this edge is being stopped", {"Retry-After": "1"}, reason="draining")


def _visitor(examined: _Examined, may_read: tuple[str, ...] | None, user_agent: str, address: str) -> Visitor:
    """Made once and in the order of its fields: a copy of so many costs as much as a look at somebody's rights."""
    claims, key, ident = examined
    write = claims.mesh.write
    return Visitor(user_agent, claims.sub, write, may_read, None, claims.exp, claims.iat, ident, key, address)
