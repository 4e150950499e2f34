"""The guard on ASGI messages, without a server."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from mesh_api.guard import Guard
from mesh_api.metrics import Requests


async def call(
    app: Any, *, method: str = "POST", path: str = "/api/x", chunks: tuple[bytes, ...] = (), headers: Any = ()
) -> list[Message]:
    incoming = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0) if incoming else {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": method, "path": path, "headers": list(headers)}
    await Guard(app, max_request_bytes=10, requests=Requests())(scope, receive, send)
    return sent


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-method", scope["method"].encode())]})
    await send({"type": "http.response.body", "body": body})


async def test_a_small_body_passes() -> None:
    start, body = await call(echo, chunks=(b"12345", b"67890"))
    assert (start["status"], body["body"]) == (200, b"1234567890")
    assert (b"x-content-type-options", b"nosniff") in start["headers"]


@pytest.mark.parametrize("chunks", [(b"12345", b"678901"), (b"12345678901",)])
async def test_a_large_body_is_refused_while_it_comes(chunks: tuple[bytes, ...]) -> None:
    start, body = await call(echo, chunks=chunks)
    assert start["status"] == 413
    assert json.loads(body["body"])["title"] == "The body is too large"


async def test_a_body_that_is_said_to_be_large_is_not_read() -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("was called")

    start, _ = await call(never, headers=[(b"content-length", b"11")])
    assert start["status"] == 413


@pytest.mark.promise("P-ERROR-1")
async def test_a_failure_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("secret")

    with caplog.at_level(logging.ERROR):
        start, body = await call(fails)
    assert start["status"] == 500
    assert b"secret" not in body["body"]
    assert b"Traceback" not in body["body"]
    assert "secret" in caplog.text


async def test_half_an_answer_is_cut() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("secret")

    with pytest.raises(Exception, match="The log says more"):
        await call(fails)


async def test_a_client_that_went_away_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    async def gone(scope: Scope, receive: Receive, send: Send) -> None:
        raise ClientDisconnect

    with caplog.at_level(logging.INFO):
        assert await call(gone) == []
    assert caplog.text == ""


async def test_head_is_get_without_a_body_where_the_api_answers() -> None:
    start, body = await call(echo, method="HEAD", chunks=(b"x",))
    assert (b"x-method", b"GET") in start["headers"]
    assert body["body"] == b""
    start, _ = await call(echo, method="HEAD", path="/sse/events")
    assert (b"x-method", b"HEAD") in start["headers"]


async def test_sockets_pass_untouched() -> None:
    seen: list[Any] = []

    async def app(*arguments: Any) -> None:
        seen.extend(arguments)

    sentinel: Any = object()
    await Guard(app, max_request_bytes=1, requests=Requests())({"type": "websocket"}, sentinel, sentinel)
    assert seen == [{"type": "websocket"}, sentinel, sentinel]
