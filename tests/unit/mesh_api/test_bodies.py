from __future__ import annotations

from typing import Any

import pytest
from fastapi import Request

from mesh_api.bodies import ChatBody, SessionChanges, read
from mesh_api.problems import Problem


def request(body: bytes, media_type: str | None = "application/json") -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [] if media_type is None else [(b"content-type", media_type.encode())]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


async def status(body: bytes, media_type: str | None = "application/json") -> int:
    with pytest.raises(Problem) as refused:
        await read(request(body, media_type), ChatBody)
    return refused.value.kind.status


@pytest.mark.parametrize(
    "media_type", ["application/json", "Application/JSON; charset=utf-8", "application/vnd.daena+json"]
)
async def test_json_is_read(media_type: str) -> None:
    body = await read(request(b'{"message": "hi", "unknown": 1}', media_type), ChatBody)
    assert (body.message, body.sender, body.session_id) == ("hi", "user", None)


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
async def test_another_media_type_is_415(media_type: str | None) -> None:
    assert await status(b'{"message": "hi"}', media_type) == 415


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"message": "\xff"}', b"{'message': 'hi'}", b"NaN"])
async def test_no_json_is_400(body: bytes) -> None:
    assert await status(body) == 400


@pytest.mark.parametrize(
    "body",
    [
        *(b"[]", b'"x"', b"null", b"{}", b'{"message": ""}', b'{"message": 1}', b'{"message": null}'),
        *(b'{"message": "x", "sender": ""}', b'{"message": "x", "metadata": []}'),
        *(b'{"message": "x", "session_id": 5}', b'{"message": "x", "sender": "%b"}' % (b"x" * 129)),
        # How deep JSON may nest is Python's to say, and depends on its version; this is too deep for all.
        b'{"message": "x", "context": ' + 30_000 * b"[" + 30_000 * b"]" + b"}",
    ],
)
async def test_what_does_not_fit_is_422(body: bytes) -> None:
    assert await status(body) == 422


async def test_what_is_left_out_is_not_what_is_null() -> None:
    body = await read(request(b'{"category": null}'), SessionChanges)
    assert body.category is None
    assert body.title is not None
