"""What one turn of the event loop writes to NATS leaves together: in order, before a flush, and before the end."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from daena_mesh.connection import Connection
from daena_mesh.embedded import NatsServer
from tests.support.deadlines import eventually, within

SUBJECT = "test.writes"


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """Connect for a block."""
    connection = Connection([url], name="test")
    connection.start()
    try:
        await connection.wait_ready(10)
        yield connection
    finally:
        await connection.close()


def count_writes(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Keep what is written to the socket from now on, and write it."""
    assert connection._tap is not None
    transport = connection._tap.transport
    assert transport is not None
    written: list[bytes] = []
    write = transport.write

    def counted(data: bytes) -> None:
        written.append(data)
        write(data)

    monkeypatch.setattr(transport, "write", counted)
    return written


async def test_one_turn_is_one_write_in_order(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(nats_server.url) as reader, connected(nats_server.url) as writer:
        got: list[bytes] = []
        reader.subscribe(SUBJECT, lambda _subject, _reply, _headers, body: got.append(body))
        await reader.flush()
        written = count_writes(writer, monkeypatch)
        for number in range(50):
            writer.publish(SUBJECT, b"%d" % number)
        assert written == []
        await eventually(lambda: len(got) == 50)
        assert len(written) == 1
        assert got == [b"%d" % number for number in range(50)]


async def test_a_flush_comes_after_what_was_written_before_it(nats_server: NatsServer) -> None:
    got: list[bytes] = []
    async with connected(nats_server.url) as connection:
        for _ in range(20):  # the answer to a flush and the message race, unless one is sent before the other
            got.clear()
            subscription = connection.subscribe(SUBJECT, lambda _subject, _reply, _headers, body: got.append(body))
            connection.publish(SUBJECT, b"heard")
            await connection.flush()
            assert got == [b"heard"]
            connection.unsubscribe(subscription)


async def test_what_was_published_right_before_the_end_is_sent(nats_server: NatsServer) -> None:
    async with connected(nats_server.url) as reader:
        got: list[bytes] = []
        reader.subscribe(SUBJECT, lambda _subject, _reply, _headers, body: got.append(body))
        await reader.flush()
        async with connected(nats_server.url) as writer:
            writer.publish(SUBJECT, b"goodbye")
        async with within(10):
            await eventually(lambda: got == [b"goodbye"])
