"""Who asks the API: the token of a request, checked once, and what its patterns of subjects allow.

What is shown needs the right to read the subjects that it was made of, and what is done needs the right to write the
subject of the event that it becomes. Without a key of tokens everybody may do everything.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

import msgspec
from fastapi import Request

from daena_mesh.errors import InvalidToken
from daena_mesh.revocations import Revoked, token_id
from daena_mesh.subjects import covers
from daena_mesh.tokens import Keyring, Rights, TokenSettings
from mesh_api.problems import FORBIDDEN, NO_TOKEN, WRONG_TOKEN, Problem

_MOST_KNOWN = 1_024
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
    """

    user: str | None
    rights: Rights
    exp: float
    issued: float = 0
    token_id: str = ""
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

    def seen(self, *domains: str) -> frozenset[str] | None:
        """The ids of which they may read everything in each of ``domains``; None for all there are."""
        if domains not in self._seen:
            self._seen[domains] = ids_seen(self.rights.read, domains)
        return self._seen[domains]

    def may_see(self, ident: str, *domains: str) -> bool:
        """Whether they may read everything of ``ident`` in each of ``domains``."""
        seen = self.seen(*domains)
        return seen is None or ident in seen


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
        self._keyring = Keyring.load(settings)
        self.revoked = Revoked()
        self._cookie = settings.token_cookie
        self._known: dict[str, Caller] = {}
        """By their tokens, whose signatures need not be computed for each request."""

    def admit(self, request: Request) -> None:
        """Find out who asks, for `caller_of`; raises `Problem`."""
        if self._keyring is None:
            request.scope[_KEY] = ANYBODY
            return
        caller = self._authenticated(self._keyring, request)
        if self.revoked.refuses(caller.user, caller.issued, caller.token_id):
            raise Problem(WRONG_TOKEN, "The token was revoked.", _INVALID)
        request.scope[_KEY] = caller

    @property
    def asks_for_tokens(self) -> bool:
        """Whether anybody has to show one."""
        return self._keyring is not None

    def _authenticated(self, keyring: Keyring, request: Request) -> Caller:
        if not (token := self._token(request)):
            where = f" or the cookie {self._cookie}" if self._cookie else ""
            detail = f"This mesh asks for a token: in the header Authorization: Bearer …{where}."
            raise Problem(NO_TOKEN, detail, {"WWW-Authenticate": "Bearer"})
        now = time.time()
        if (caller := self._known.get(token)) is not None and caller.exp > now:
            return caller
        try:
            claims = keyring.verify(token.encode(errors="replace"), now)
        except InvalidToken as error:
            self._known.pop(token, None)
            raise Problem(WRONG_TOKEN, f"{str(error).capitalize()}.", _INVALID) from None
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        caller = self._known[token] = Caller(claims.sub, claims.mesh, claims.exp, claims.iat, token_id(token))
        return caller

    def _token(self, request: Request) -> str:
        said = request.headers.get("authorization", "")
        if said[: len(_BEARER)].lower() == _BEARER:
            return said[len(_BEARER) :].strip()
        if not self._cookie or self._cookie not in request.headers.get("cookie", ""):
            return ""
        token = request.cookies.get(self._cookie, "")
        if token and request.method not in {"GET", "HEAD"} and _is_of_another_page(request):
            raise Problem(FORBIDDEN, "A cookie counts only for what a page of this very origin does.")
        return token


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
