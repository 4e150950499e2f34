"""What stands around every HTTP request: a bound on its body, an answer whatever happens, and counting.

Plain ASGI, so that it costs little; WebSockets pass by untouched.
"""

from __future__ import annotations

import logging
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mesh_api.metrics import Requests
from mesh_api.problems import INTERNAL, TOO_LARGE, Problem, respond

_HEAD_AS_GET = ("/api/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/asyncapi.json")
_log = logging.getLogger(__name__)


class Guard:
    """ASGI middleware."""

    lets_websockets_pass = True
    """So handshakes need not come by here."""

    def __init__(self, app: ASGIApp, *, max_request_bytes: int, requests: Requests) -> None:
        self._app = app
        self._max_bytes = max_request_bytes
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI 3.0)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        exchange = _Exchange(scope["method"], receive, send, self._max_bytes)
        if scope["method"] == "HEAD" and scope["path"].startswith(_HEAD_AS_GET):
            scope = {**scope, "method": "GET"}
        try:
            if _declared(scope) > self._max_bytes:
                raise _too_large(self._max_bytes)
            await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            _log.debug("%s %s: the client went away", exchange.method, scope["path"])
        except Problem as problem:
            await self._answer(problem, scope, exchange)
        except Exception:  # noqa: BLE001 - the last line of defence, so that nobody gets a stack trace
            _log.exception("%s %r failed", exchange.method, scope["path"][:200])
            await self._answer(Problem(INTERNAL, "The log says more."), scope, exchange)
        if exchange.status:
            self._requests.note(exchange.method, exchange.status, (exchange.began_s or time.perf_counter()) - began)

    async def _answer(self, problem: Problem, scope: Scope, exchange: _Exchange) -> None:
        if exchange.status:
            raise problem  # half an answer is out: only cutting the connection tells the client
        await respond(problem, scope["path"])(scope, exchange.receive, exchange.send)


class _Exchange:
    """One request and its answer."""

    def __init__(self, method: str, receive: Receive, send: Send, max_bytes: int) -> None:
        self.method = method
        self.status = 0
        self.began_s = 0.0
        """When an answer began that lasts as long as somebody reads it."""
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes
        self._received = 0

    async def receive(self) -> Message:
        """Give what comes in, up to the bound."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self._max_bytes and not self.status:
                raise _too_large(self._max_bytes)
        return message

    async def send(self, message: Message) -> None:
        """Send, with no body for HEAD."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message["headers"] = list(message.get("headers", ()))
            if (b"content-type", b"text/event-stream") in headers:
                self.began_s = time.perf_counter()
            if not any(name == b"x-content-type-options" for name, _ in headers):
                headers.append((b"x-content-type-options", b"nosniff"))
        elif self.method == "HEAD" and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:18])
    return 0


def _too_large(most: int) -> Problem:
    headers = {"Connection": "close"}  # the rest of the body is not read
    return Problem(TOO_LARGE, f"At most {most} bytes are taken (MESH_MAX_REQUEST_BYTES).", headers)
