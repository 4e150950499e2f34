"""Who one is, and the cookie that says so for a browser: a script may set it by a token, and never read it again."""

from __future__ import annotations

import time
from typing import Literal

import msgspec
from fastapi import APIRouter, Request, Response

from mesh_api.bodies import answer
from mesh_api.callers import Caller, bearer_of, caller_of
from mesh_api.context import context_of
from mesh_api.direct_route import DirectRoute
from mesh_api.guarded_route import GuardedRoute
from mesh_api.openapi import answers
from mesh_api.problems import NO_COOKIE, NO_TOKEN, TOO_LONG_TOKEN, Problem

_MOST_BYTES = 4_096
"""What browsers keep of name and value, RFC 6265bis section 5.6; what is longer they drop without a word."""
_MOST_AGE_S = 400 * 86_400
_ATTRIBUTES = "Path=/; HttpOnly; Secure; SameSite=Strict"
_PRIVATE = {"Cache-Control": "no-store"}

router = APIRouter(prefix="/api/v1", tags=["login"], route_class=GuardedRoute)
open_router = APIRouter(prefix="/api/v1", tags=["login"], route_class=DirectRoute)
"""Who leaves need not show a token that is still good."""


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and what they may do."""

    user: str | None
    """The `sub` of the token; null where nobody authenticates."""
    open: bool
    """Whether nobody authenticates here."""
    read: tuple[str, ...]
    write: tuple[str, ...]
    expires_at: float | None
    """Until when, in seconds since 1970; null for ever."""


class LoggedOut(msgspec.Struct, frozen=True, kw_only=True):
    """The cookie is gone."""

    success: Literal[True] = True


def _me(caller: Caller, *, is_open: bool) -> Me:
    rights, until = caller.rights, None if is_open else caller.exp
    return Me(user=caller.user, open=is_open, read=rights.read, write=rights.write, expires_at=until)


@router.get("/me", responses=answers(Me))
async def me(request: Request) -> Response:
    """Tell who the caller is, what they may read and write, and until when."""
    is_open = not context_of(request).callers.asks_for_tokens
    return answer(_me(caller_of(request), is_open=is_open), _PRIVATE)


@router.post("/login", responses=answers(Me))
async def login(request: Request) -> Response:
    """Set the token of `Authorization: Bearer …` as a cookie, which scripts cannot read and other sites cannot send.

    It lasts as long as the token. Without tokens there is nothing to set.
    """
    callers, caller = context_of(request).callers, caller_of(request)
    if not callers.asks_for_tokens:
        return answer(_me(caller, is_open=True), _PRIVATE)
    if not (token := bearer_of(request)):
        detail = "A login shows a token in the header Authorization: Bearer …; a cookie that is there already is none."
        raise Problem(NO_TOKEN, detail, {"WWW-Authenticate": "Bearer"})
    cookie = f"{_name(callers.cookie)}={token}"
    if len(cookie) > _MOST_BYTES:
        raise Problem(TOO_LONG_TOKEN, f"With its name it has {len(cookie)} bytes, and browsers keep {_MOST_BYTES}.")
    age_s = min(max(0, int(caller.exp - time.time())), _MOST_AGE_S)
    headers = {**_PRIVATE, "Set-Cookie": f"{cookie}; Max-Age={age_s}; {_ATTRIBUTES}"}
    return answer(_me(caller, is_open=False), headers)


@open_router.post("/logout", responses=answers(LoggedOut))
async def logout(request: Request) -> Response:
    """Clear the cookie, whether or not its token still counts. The token itself is good until it expires."""
    headers = dict(_PRIVATE)
    if (name := context_of(request).callers.cookie) != "":
        headers["Set-Cookie"] = f"{name}=; Max-Age=0; {_ATTRIBUTES}"
    return answer(LoggedOut(), headers)


def _name(cookie: str) -> str:
    if not cookie:
        raise Problem(NO_COOKIE, "MESH_TOKEN_COOKIE is empty: show the token with each call.")
    return cookie
