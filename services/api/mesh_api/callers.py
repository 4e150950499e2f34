"""Who asks the API: the token of a request, checked once, and what its patterns of subjects allow.

What is shown needs the right to read the subjects that it was made of, and what is done needs the right to write the
subject of the event that it becomes. Without a key of tokens everybody may do everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec
from fastapi import Request

from daena_mesh.errors import InvalidQuery, InvalidSubject, InvalidToken
from daena_mesh.revocations import Revoked, token_id
from daena_mesh.subjects import check_pattern, covers, intersection
from daena_mesh.tokens import Keyring, Rights, TokenSettings
from mesh_api.problems import FORBIDDEN, NO_KEYS, NO_TOKEN, WRONG_TOKEN, Problem

if TYPE_CHECKING:
    from daena_mesh.jwks import Jwks

_MOST_KNOWN = 1_024
_MOST_BLOCK_S = 86_400
_MOST_READABLE = 32
_BEARER = "bearer "
_KEY = "mesh.caller"
_INVALID = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
_OWN_PAGES = frozenset({"same-origin", "none"})


class Caller(msgspec.Struct, frozen=True):
    """Somebody who asks.

    Args:
        user: the ``sub`` of their token; None where nobody authenticates.
        rights: what they may read and write.
        exp: until when, in seconds since 1970.
        issued: since when.
        token_id: what names their token where it is revoked.
        key: which public key it was signed for; empty for a secret.
    """

    user: str | None
    rights: Rights
    exp: float
    issued: float = 0
    token_id: str = ""
    key: str = ""
    _seen: dict[tuple[str, ...], frozenset[str] | None] = msgspec.field(default_factory=dict)

    def check_read(self, *patterns: str) -> None:
        """Raise `Problem` unless they may read all that ``patterns`` match."""
        for pattern in patterns:
            if not self.rights.may_read((pattern,)):
                raise _forbidden("read", pattern)

    def check_write(self, subject: str) -> None:
        """Raise `Problem` unless they may write on ``subject``."""
        if not self.rights.may_write(subject):
            raise _forbidden("write", subject)

    def readable(self, patterns: Sequence[str]) -> tuple[str, ...]:
        """The patterns for what they may read of what ``patterns`` match.

        Raises `Problem` where that is nothing, or takes too many patterns to say.
        """
        if self.rights.may_read(patterns):
            return tuple(patterns)
        found = narrowed(patterns, self.rights.read)
        if not found:
            raise _forbidden("read", patterns[0])
        if len(found) > _MOST_READABLE:
            raise InvalidQuery(
                f"the token names more than {_MOST_READABLE} subjects of what is asked for: ask for fewer of them"
            )
        return found

    def seen(self, *domains: str) -> frozenset[str] | None:
        """The ids of which they may read everything in each of ``domains``; None for all there are."""
        if domains not in self._seen:
            self._seen[domains] = ids_seen(self.rights.read, domains)
        return self._seen[domains]

    def may_see(self, ident: str, *domains: str) -> bool:
        """Whether they may read everything of ``ident`` in each of ``domains``."""
        seen = self.seen(*domains)
        return seen is None or ident in seen


def narrowed(patterns: Iterable[str], read: Iterable[str]) -> tuple[str, ...]:
    """The patterns for what both match, without those that others cover."""
    both = (intersection(mine, pattern) for mine in read if is_pattern(mine) for pattern in patterns)
    found = [pattern for pattern in dict.fromkeys(both) if pattern is not None]
    return tuple(one for one in found if not any(other != one and covers(other, one) for other in found))


def is_pattern(text: str) -> bool:
    """Whether it is one: what a token allows may be anything."""
    try:
        check_pattern(text)
    except InvalidSubject:
        return False
    return True


def ids_seen(read: Iterable[str], domains: Iterable[str]) -> frozenset[str] | None:
    """The ids for which ``read`` covers ``<domain>.<id>.>`` in each of ``domains``; None for all ids.

    A pattern that names no id covers for every id what it covers for one. So only ids that are named can differ.
    """
    named: dict[str, list[str]] = {}
    general = []
    for pattern in read:
        _, _, rest = pattern.partition(".")
        ident = rest.partition(".")[0]
        if ident in {"", "*", ">"}:
            general.append(pattern)
        else:
            named.setdefault(ident, []).append(pattern)
    missing = [domain for domain in domains if not _cover(general, f"{domain}.*.>")]
    if not missing:
        return None
    return frozenset(
        ident for ident, mine in named.items() if all(_cover(mine, f"{domain}.{ident}.>") for domain in missing)
    )


def _cover(patterns: Iterable[str], wanted: str) -> bool:
    return any(covers(pattern, wanted) for pattern in patterns)


ANYBODY = Caller(None, Rights((">",), (">",)), math.inf)
"""Who asks where nobody authenticates."""


class Callers:
    """Tells who asks. One place for all routes."""

    def __init__(self, settings: TokenSettings) -> None:
        """Raises `ConfigurationError`."""
        self.keyring = Keyring.load(settings)
        self.revoked = Revoked()
        self.cookie = settings.token_cookie
        """The name of the cookie that counts; empty: none does."""
        self._known: dict[str, Caller] = {}
        """By their tokens, whose signatures need not be computed for each request."""
        self._blocks: dict[asyncio.Timeout, Caller] = {}
        """What ends with somebody's token."""

    def admit(self, request: Request) -> None:
        """Find out who asks, for `caller_of`; raises `Problem`."""
        if self.keyring is None:
            request.scope[_KEY] = ANYBODY
            return
        caller = self._authenticated(self.keyring, request)
        self._check_revoked(caller)
        request.scope[_KEY] = caller

    async def settled(self, request: Request) -> None:
        """Wait until it is known whether there is the public key that a token needs, mostly not at all."""
        if self.keyring is None or self.keyring.source is None:
            return
        if (token := self._token(request)) and token not in self._known:
            await self.keyring.settled(token.encode(errors="replace"))

    @contextlib.asynccontextmanager
    async def while_admitted(self, caller: Caller) -> AsyncIterator[None]:
        """A block that ends when the token of ``caller`` does: with a `Problem`, as a call that begins then has one."""
        left = caller.exp - time.time()
        try:
            async with asyncio.timeout(left if left < _MOST_BLOCK_S else None) as block:
                self._blocks[block] = caller
                try:
                    self._check_revoked(caller)
                    yield
                finally:
                    del self._blocks[block]
        except TimeoutError:
            if not block.expired():
                raise
            self._check_revoked(caller)
            raise Problem(WRONG_TOKEN, "The token has expired.", _INVALID) from None

    def look_again(self) -> None:
        """End the blocks of those whose tokens are refused by now."""
        for block, caller in self._blocks.items():
            if self._is_revoked(caller):
                block.reschedule(asyncio.get_running_loop().time())

    def _is_revoked(self, caller: Caller) -> bool:
        if self.keyring is not None and not self.keyring.counts(caller.key):
            return True
        return self.revoked.refuses(caller.user, caller.issued, caller.token_id)

    def _check_revoked(self, caller: Caller) -> None:
        if self._is_revoked(caller):
            raise Problem(WRONG_TOKEN, "The token was revoked.", _INVALID)

    @property
    def source(self) -> Jwks | None:
        """Where public keys are fetched; somebody has to `run` it."""
        return None if self.keyring is None else self.keyring.source

    @property
    def asks_for_tokens(self) -> bool:
        """Whether anybody has to show one."""
        return self.keyring is not None

    def _authenticated(self, keyring: Keyring, request: Request) -> Caller:
        if not (token := self._token(request)):
            where = f" or the cookie {self.cookie}" if self.cookie else ""
            detail = f"This mesh asks for a token: in the header Authorization: Bearer …{where}."
            raise Problem(NO_TOKEN, detail, {"WWW-Authenticate": "Bearer"})
        now = time.time()
        if (caller := self._known.get(token)) is not None and caller.exp > now:
            return caller
        try:
            claims, key = keyring.examine(token.encode(errors="replace"), now)
        except InvalidToken as error:
            self._known.pop(token, None)
            if keyring.is_blind:
                raise Problem(NO_KEYS, "Try again in a moment.", {"Retry-After": "5"}) from None
            raise Problem(WRONG_TOKEN, f"{str(error).capitalize()}.", _INVALID) from None
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        caller = Caller(claims.sub, claims.mesh, claims.exp, claims.iat, token_id(token), key)
        self._known[token] = caller
        return caller

    def _token(self, request: Request) -> str:
        if token := bearer_of(request):
            return token
        if not self.cookie or self.cookie not in request.headers.get("cookie", ""):
            return ""
        token = request.cookies.get(self.cookie, "")
        if token and request.method not in {"GET", "HEAD"} and _is_of_another_page(request):
            raise Problem(FORBIDDEN, "A cookie counts only for what a page of this very origin does.")
        return token


def bearer_of(request: Request) -> str:
    """The token of the header ``Authorization``; empty without one."""
    said = request.headers.get("authorization", "")
    return said[len(_BEARER) :].strip() if said[: len(_BEARER)].lower() == _BEARER else ""


def caller_of(request: Request) -> Caller:
    """Who asks, on a route that found it out."""
    caller: Caller = request.scope[_KEY]
    return caller


def _is_of_another_page(request: Request) -> bool:
    """Whether a browser sends it for a page of another origin, which gets the cookie along."""
    origin = request.headers.get("origin")
    if origin is None:
        return request.headers.get("sec-fetch-site", "none") not in _OWN_PAGES
    return origin.partition("://")[2].lower() != request.headers.get("host", "").lower()


def _forbidden(what: str, pattern: str) -> Problem:
    return Problem(
        FORBIDDEN,
        f"The token does not allow to {what} {pattern!r}.",
        {"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
    )
