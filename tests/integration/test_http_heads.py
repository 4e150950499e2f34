"""Heads of requests that never end, on a real uvicorn."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import connect

from mesh_cli.http_heads import MOST_HEAD_BYTES, BoundedHeads
from tests.support.deadlines import within

Message = MutableMapping[str, Any]


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer with the number of bytes of the body, and echo one message of a WebSocket."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        said = await receive()
        await send({"type": "websocket.send", "text": said["text"]})
        return
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
    await send({"type": "http.response.body", "body": b"%06d" % size})


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    """Serve the application; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, http=BoundedHeads, lifespan="off", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve([listening]))
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await running


async def answer(port: int, *pieces: bytes) -> bytes:
    """Send the pieces, one packet each, and read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with within(5):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return await reader.read()
    except ConnectionError:  # closed while we were still talking, and the answer may be lost with that
        return b""
    finally:
        writer.close()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedHeads, "head_within_s", 0.2)


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_who_does_not_finish_a_head_is_sent_away(patience: None, begun: bytes) -> None:
    async with serving() as port:
        assert (await answer(port, begun)).startswith(b"HTTP/1.1 408 ")


async def test_the_second_request_of_a_connection_has_a_deadline_too(patience: None) -> None:
    async with serving() as port:
        said = await answer(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HT")
    assert said.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in said


async def test_a_request_that_takes_its_time_after_the_head_is_let_be(patience: None) -> None:
    async with serving() as port, within(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nab")
        with pytest.raises(TimeoutError):
            async with within(0.5):
                await reader.read(1)
        writer.write(b"cd")
        assert (await reader.read()).endswith(b"000004")
        writer.close()


async def test_a_large_body_is_no_large_head() -> None:
    async with serving() as port:
        size = 3 * MOST_HEAD_BYTES
        head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size
        assert (await answer(port, head + bytes(size))).endswith(b"%06d" % size)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ", *[b"x" * 16_384] * 100],
        [b"GET / HTTP/1.1\r\nHost: x\r\n", *[b"X-Many: %s\r\n" % (b"x" * 1_000)] * 1_000],
        [b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * MOST_HEAD_BYTES + b"\r\n\r\n"],
        [
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nX-Long: " + b"x" * MOST_HEAD_BYTES + b"\r\n\r\n"
        ],
    ],
)
async def test_a_head_that_is_too_large_is_refused(pieces: list[bytes]) -> None:
    async with serving() as port:
        said = await answer(port, *pieces)
    assert said == b"" or said.startswith(b"HTTP/1.1 431 ")


async def test_nonsense_is_answered_as_ever() -> None:
    async with serving() as port:
        assert (await answer(port, b"\x16\x03\x01 no HTTP\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


async def test_a_websocket_outlives_the_deadline_of_its_handshake(patience: None) -> None:
    async with serving() as port, connect(f"ws://127.0.0.1:{port}/") as client, within(5):
        with pytest.raises(TimeoutError):
            async with within(0.5):
                await client.recv()
        await client.send("still there")
        assert await client.recv() == "still there"
