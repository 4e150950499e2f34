"""Which pages may ask the API: those that may open a WebSocket, by the same list (Fetch, CORS protocol).

A page of another origin is refused before anything is done for it, since simple requests need no leave of ours, and a
page whose name was rebound to loopback is refused by the ``Host`` that it brings. Plain ASGI, so that it costs little.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daena_mesh.origin import OriginPolicy, OriginSettings
from daena_mesh.tokens import Keyring
from mesh_api.problems import FOREIGN_PAGE, Problem

_ASKED = ("/api/", "/ai/")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_PAGES = frozenset({"same-origin", "none"})
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer",
    "Access-Control-Max-Age": "600",
}
_EXPOSED = "ETag, Location, Preference-Applied, Retry-After"


class Origins:
    """ASGI middleware; it raises `Problem` for pages that may not ask."""

    lets_websockets_pass = True
    """The edge's gate asks after their origins."""

    def __init__(self, app: ASGIApp, *, settings: OriginSettings) -> None:
        self._app = app
        self._listed = settings.listed_origins()
        asks_for_tokens = Keyring.load(settings) is not None
        self._policy = OriginPolicy(
            self._listed, open_loopback=settings.open_loopback and not asks_for_tokens, tools=True
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI 3.0)."""
        below = scope.get("root_path", "")  # where another application has mounted this one
        if scope["type"] != "http" or not scope["path"].removeprefix(below).startswith(_ASKED):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin, host = _only(headers, "origin"), _only(headers, "host")
        if not self._policy.allows(origin, host) or _is_silent_foreigner(scope["method"], origin, headers):
            raise _refusal(origin, host)
        if not self._listed:
            await self._app(scope, receive, send)
            return
        told = {"Vary": "Origin"}
        if origin in self._listed:
            told |= {"Access-Control-Allow-Origin": origin or "", "Access-Control-Expose-Headers": _EXPOSED}
            if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
                lines = [(name.lower().encode(), value.encode()) for name, value in (told | _PREFLIGHT).items()]
                await send({"type": "http.response.start", "status": 204, "headers": lines})
                await send({"type": "http.response.body", "body": b""})
                return

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(raw=list(message.get("headers", ())))
                for name, value in told.items():
                    answer.append(name, value)
                message = {**message, "headers": answer.raw}
            await send(message)

        await self._app(scope, receive, telling)


def _only(headers: Headers, name: str) -> str | None:
    """All values of a header; several, joined, are those of nobody."""
    values = headers.getlist(name)
    return ",".join(values) if values else None


def _is_silent_foreigner(method: str, origin: str | None, headers: Headers) -> bool:
    """Whether a browser writes for another site, and does not say for which."""
    return origin is None and method not in _SAFE and headers.get("sec-fetch-site", "none") not in _OWN_PAGES


def _refusal(origin: str | None, host: str | None) -> Problem:
    if origin is None:
        shown = "none" if host is None else ascii(host[:100])
        return Problem(FOREIGN_PAGE, f"This mesh is not called by the Host {shown}; MESH_OPEN_LOOPBACK says more.")
    return Problem(FOREIGN_PAGE, f"Pages of origin {origin[:100]!a} may not ask here; MESH_ORIGINS allows more.")
