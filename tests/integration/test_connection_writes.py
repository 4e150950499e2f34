"""What one turn of the event loop writes to NATS leaves together: in order, before a flush, and before the end."""

from __future__ import annotations

import pytest

from daena_mesh.connection import Connection
from daena_mesh.embedded import NatsServer
from daena_mesh.subjects import covers
from tests.support.connections import connected
from tests.support.deadlines import eventually, within

SUBJECT = "test.writes"


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


async def test_who_drains_is_given_what_was_on_its_way_and_nothing_later(nats_server: NatsServer) -> None:
    async with connected(nats_server.url) as ours, connected(nats_server.url) as theirs:
        got: list[bytes] = []
        inbox = ours.new_inbox()
        subscription = ours.subscribe(inbox, lambda _subject, _reply, _headers, body: got.append(body))
        await ours.flush()
        ours.rest(0.3)  # what comes is not read meanwhile
        for number in range(1_000):
            theirs.publish(inbox, b"%d" % number)
        await theirs.flush()
        await ours.drain(subscription)
        assert got == [b"%d" % number for number in range(1_000)]
        theirs.publish(inbox, b"later")
        await theirs.flush()
        await ours.flush()
        await ours.drain(subscription)  # nothing is left to stop
        assert len(got) == 1_000


async def test_an_inbox_is_nobody_elses(nats_server: NatsServer) -> None:
    async with connected(nats_server.url) as connection:
        inboxes = {connection.new_inbox() for _ in range(100)}
        assert len(inboxes) == 100
        # What comes there does not come to who waits for the answers to requests.
        wide = connection._inbox.decode() + "*"
        assert all(inbox.startswith(wide[:-1]) and not covers(wide, inbox) for inbox in inboxes)
