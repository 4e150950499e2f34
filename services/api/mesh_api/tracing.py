"""The trace of a request: the caller's, or a new one where spans are made."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from daena_mesh import trace


class Tracing:
    """Has all that a request does belong to its trace."""

    lets_websockets_pass = True

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI 3.0)."""
        if scope["type"] != "http" or "/api/" not in scope["path"]:
            await self._app(scope, receive, send)
            return
        parent = trace.checked(Headers(scope=scope).get(trace.HEADER, ""))
        if not parent and not trace.is_on():
            await self._app(scope, receive, send)
            return
        with trace.span(scope["method"], "server", parent=parent, **{"url.path": scope["path"]}):
            await self._app(scope, receive, send)
