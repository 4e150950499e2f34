"""The callers of `mesh bench rest` count every answer, however it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from mesh_cli.bench.callers import call, request_of
from tests.support.deadlines import within

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
SORRY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length:2\r\n\r\nno"
REQUEST = request_of("/say", b'{"a":1}')


@asynccontextmanager
async def answering(*answers: Sequence[bytes]) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Answer with each of ``answers`` in turn, one piece at a time; give the port and what was asked."""
    asked: list[bytes] = []
    ready = iter(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked.append(await reader.readexactly(len(REQUEST)))
                if (pieces := next(ready, None)) is None:
                    break
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


async def test_every_call_is_made_once_and_every_answer_counted() -> None:
    async with within(), answering(*[[OK]] * 9) as (port, asked):
        called = await call(port, REQUEST, 9, callers=3)
    assert asked == [REQUEST] * 9
    assert called.refused == 0
    assert 0 < called.middle_ms <= called.p99_ms <= called.seconds * 1e3


async def test_an_answer_in_pieces_is_one() -> None:
    pieces = [OK[:12], OK[12:30], OK[30:41], OK[41:]]
    async with within(), answering(pieces, [OK], pieces) as (port, asked):
        called = await call(port, REQUEST, 3, callers=1)
    assert len(asked) == 3
    assert called.refused == 0


async def test_what_is_not_200_is_refused() -> None:
    async with within(), answering([OK], [SORRY], [OK], [SORRY]) as (port, _):
        assert (await call(port, REQUEST, 4, callers=1)).refused == 2


async def test_calls_without_an_answer_are_refused() -> None:
    async with within(), answering([OK]) as (port, _):
        assert (await call(port, REQUEST, 3, callers=1)).refused == 2
