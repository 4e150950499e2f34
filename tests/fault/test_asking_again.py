"""A question that nobody heard, since a cluster was choosing a leader: it is asked again by the same connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from daena_mesh import Mesh
from daena_mesh.asks import Asks, Draft
from daena_mesh.connection import Connection
from daena_mesh.embedded import NatsServer
from daena_mesh.errors import MeshUnavailable
from daena_mesh.jetstream import ApiReply, asked, call
from daena_mesh.layout import RECORDS, SIGNALS, Layout
from daena_mesh.log import Epoch, Log
from daena_mesh.repeats import Repeat
from daena_mesh.settings import MeshSettings
from tests.support.cluster import lone_node
from tests.support.deadlines import eventually
from tests.support.edge import provisioned_mesh

pytestmark = [pytest.mark.timeout(60)]
EVENT = "chat.s1.message"
QUESTION = "ask.agent.a.test"


class Leader:
    """Answers each question from the second time on that it is asked, as who is chosen after the first."""

    def __init__(self, connection: Connection) -> None:
        self.heard: list[bytes] = []
        self._connection = connection
        self._answers = {
            b"leader": b"{}",
            EVENT.encode(): b'{"stream": "RECORDS", "seq": 7}',
            QUESTION.encode(): b'{"stream": "ASKS", "seq": 7}',
        }
        for subject in self._answers:
            connection.subscribe(subject.decode(), self._hear)

    def _hear(self, subject: bytes, reply: bytes, _headers: bytes, body: bytes) -> None:
        self.heard.append(body)
        if self.heard.count(body) > 1:
            self._connection.publish(reply.decode(), self._answers[subject])


@pytest_asyncio.fixture
async def connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Connection, Leader]]:
    monkeypatch.setattr("daena_mesh.connection.OFTEN_S", 1.5)  # else a slow machine has it asked a third time
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
    reply = await asking.request("leader", b"who?", timeout_s=20, repeat=Repeat.OFTEN)
    assert (reply.body, leader.heard) == (b"{}", [b"who?"] * 2)


async def test_so_is_what_is_asked_of_jetstream(connections: tuple[Connection, Leader]) -> None:
    asking, leader = connections
    reply = await asked(asking, "leader", b"who?", ApiReply, timeout_s=20)
    assert (reply.error, leader.heard) == (None, [b"who?"] * 2)


async def test_what_may_not_be_repeated_is_asked_once(connections: tuple[Connection, Leader]) -> None:
    asking, leader = connections
    with pytest.raises(MeshUnavailable):
        await asking.request("leader", b"do it", timeout_s=1.2)
    await eventually(lambda: leader.heard == [b"do it"])


async def test_an_event_is_sent_again_once_somebody_answers(
    connections: tuple[Connection, Leader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daena_mesh.log._ATTEMPT_S", 50.0)
    asking, leader = connections
    log = Log(asking, Layout(), MeshSettings())
    log.epochs[RECORDS] = Epoch("abc", 1)
    storing = asyncio.create_task(log.append(EVENT, b"event", event_id="e", msg_id="m", deadline_s=50))
    await eventually(lambda: leader.heard == [b"event"])
    await asking.request("leader", b"who?", timeout_s=20, repeat=Repeat.OFTEN)
    assert (await storing).seq == 7
    assert sorted(leader.heard) == [b"event"] * 2 + [b"who?"] * 2


async def test_a_question_is_put_again_once_somebody_answers(
    connections: tuple[Connection, Leader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daena_mesh.asks._ATTEMPT_S", 50.0)
    asking, leader = connections
    mesh: Any = SimpleNamespace(connection=asking, log=Log(asking, Layout(), MeshSettings()))
    asks = Asks(mesh, deadline_s=50, patience_s=50)
    putting = asyncio.create_task(asks.put(Draft(QUESTION, b"question", "m")))
    await eventually(lambda: leader.heard == [b"question"])
    await asking.request("leader", b"who?", timeout_s=20, repeat=Repeat.OFTEN)
    await putting
    assert sorted(leader.heard) == [b"question"] * 2 + [b"who?"] * 2


async def test_a_stream_is_written_to_before_others_have_leaders(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with provisioned_mesh(nats_server.url) as mesh:
        await call(mesh.connection, f"STREAM.DELETE.{SIGNALS}", {}, ApiReply)
    monkeypatch.setattr(Connection, "is_clustered", True)  # so it waits for a leader, which is what it takes this for
    writer = Mesh(MeshSettings(nats_url=nats_server.url), name="writer")
    writer.start()
    try:
        assert (await writer.log.append(EVENT, b"event", event_id="e", msg_id="m")).cursor
        assert not writer.connection.is_ready
        with pytest.raises(MeshUnavailable):
            await writer.log.append("agent.a.activity", b"event", event_id="e", msg_id="m", patience_s=0.5)
    finally:
        await writer.close()
