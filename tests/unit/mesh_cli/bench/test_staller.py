"""The client that reads nothing until it is told to."""

from __future__ import annotations

import asyncio

import pytest

from mesh_cli.bench.machine import CannotBench
from mesh_cli.bench.staller import Staller
from tests.support.deadlines import within

HELLO = b'HTTP/1.1 101 Switching Protocols\r\n\r\n{"event_type":"connection","payload":{"recovered":true}}'


def event(number: int) -> bytes:
    return b'{"activity":{"bench":"%016d.%016d","state":"searching"}}' % (number, 7)


@pytest.mark.parametrize(
    ("numbers", "is_whole"),
    [((7, 8, 9), True), ((7, 9), False), ((7, 8, 8, 9), False), ((8, 7, 9), False), ((7,), False)],
    ids=str,
)
async def test_it_says_whether_it_was_given_everything(numbers: tuple[int, ...], is_whole: bool) -> None:
    asked = list[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(HELLO)
        for at, byte in enumerate(b"".join(map(event, numbers))):
            writer.write(bytes([byte]))
            if at % 10 == 0:
                await asyncio.sleep(0)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, within():
        staller = await Staller.connect(server.sockets[0].getsockname()[1], "/ws/agent/b0000")
        if is_whole:
            await staller.read_up_to(9)
            assert staller.numbers == list(numbers)
        else:
            with pytest.raises(CannotBench):
                await staller.read_up_to(9)
        staller.close()
    assert asked[0].startswith(b"GET /ws/agent/b0000 HTTP/1.1\r\n")
