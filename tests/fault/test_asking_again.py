"""A question that nobody heard, since a cluster was choosing a leader: it is asked again by the same connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from daena_mesh.connection import Connection
from daena_mesh.errors import MeshUnavailable
from daena_mesh.jetstream import ApiReply, asked
from tests.support.cluster import lone_node
from tests.support.deadlines import eventually

pytestmark = [pytest.mark.timeout(60)]


class Leader:
    """Answers from the second question on, as who is chosen after the first."""

    def __init__(self, connection: Connection) -> None:
        self.heard: list[bytes] = []
        self._connection = connection
        connection.subscribe("leader", self._hear)

    def _hear(self, _subject: bytes, reply: bytes, _headers: bytes, body: bytes) -> None:
        self.heard.append(body)
        if len(self.heard) > 1:
            self._connection.publish(reply.decode(), b"{}")


@pytest_asyncio.fixture
async def connections(tmp_path: Path) -> AsyncIterator[tuple[Connection, Leader]]:
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(await lone_node(tmp_path, "n1"))
        asking, answering = Connection([nats.url], name="asking"), Connection([nats.url], name="answering")
        for connection in (asking, answering):
            stack.push_async_callback(connection.close)
            connection.start()
            await connection.wait_ready(20)
        leader = Leader(answering)
        await answering.flush()
        yield asking, leader


async def test_what_may_be_repeated_is_asked_again(connections: tuple[Connection, Leader]) -> None:
    asking, leader = connections
    assert asking.is_clustered
    reply = await asking.request("leader", b"who?", timeout_s=20, is_repeatable=True)
    assert (reply.body, leader.heard) == (b"{}", [b"who?", b"who?"])


async def test_so_is_what_is_asked_of_jetstream(connections: tuple[Connection, Leader]) -> None:
    asking, leader = connections
    reply = await asked(asking, "leader", b"who?", ApiReply, timeout_s=20)
    assert (reply.error, leader.heard) == (None, [b"who?", b"who?"])


async def test_what_may_not_be_repeated_is_asked_once(connections: tuple[Connection, Leader]) -> None:
    asking, leader = connections
    with pytest.raises(MeshUnavailable):
        await asking.request("leader", b"do it", timeout_s=1.2)
    await eventually(lambda: leader.heard == [b"do it"])
