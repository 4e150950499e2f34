"""Filling the list of sessions from a real log: large messages, many sessions, and while others keep writing."""

from __future__ import annotations

import asyncio

import pytest

from daena_mesh.embedded import NatsServer
from daena_mesh.errors import MeshUnavailable
from daena_mesh.layout import RECORDS
from daena_mesh.mesh import Mesh
from daena_mesh.sessions import SessionStore
from daena_mesh.settings import MeshSettings
from mesh_api import streams
from mesh_api.filling import PATTERNS
from tests.support.api import running_api
from tests.support.deadlines import eventually, within

AT_ONCE = 200


async def seed(mesh: Mesh, sessions: int, content: str) -> None:
    """Store sessions with a message of the user's and one of an agent's each."""
    store, free = SessionStore(mesh), asyncio.Semaphore(AT_ONCE)

    async def one(i: int) -> None:
        async with free:
            await store.create(f"s{i}", title=f"T{i}")
            await mesh.publish(f"chat.s{i}.message", {"sender": "u", "content": content})
            await mesh.publish(f"chat.s{i}.message.scout", {"sender": "scout", "content": f"last of {i}"})

    await asyncio.gather(*map(one, range(sessions)))


async def test_large_messages_and_more_subjects_than_a_batch_holds(nats_server: NatsServer) -> None:
    settings = MeshSettings(nats_url=nats_server.url)
    async with Mesh(settings, name="seed", provisions=True) as mesh:
        await seed(mesh, 400, "x" * 10_000)
        found = [
            messages async for messages in streams.last_of_each(mesh.connection, RECORDS, PATTERNS, most_bytes=65_536)
        ]
    assert max(map(len, found)) == 256  # 16 MiB at most
    seqs = [message.seq for messages in found for message in messages]
    assert len(seqs) == 1_200
    assert seqs == sorted(seqs)
    async with running_api(nats_server.url) as api:
        projection = api.context.projector.projection
        assert len(projection) == 400
        for i in range(400):
            row = projection.row(f"s{i}")
            assert row is not None
            assert row.last_message is not None
            assert (row.message_count, row.last_message.content) == (2, f"last of {i}")


async def test_counts_are_right_while_others_write(nats_server: NatsServer) -> None:
    settings = MeshSettings(nats_url=nats_server.url)
    async with Mesh(settings, name="talk", provisions=True) as mesh, within(40):
        await seed(mesh, 200, "hi")
        sent = dict.fromkeys((f"s{i}" for i in range(20)), 2)
        stop = asyncio.Event()

        async def talk(session_id: str) -> None:
            while not stop.is_set():
                await mesh.publish(f"chat.{session_id}.message", {"sender": "u", "content": "more"})
                await mesh.publish(f"chat.{session_id}.message.scout", {"sender": "scout", "content": "more"})
                sent[session_id] += 2

        talking = [asyncio.create_task(talk(session_id)) for session_id in sent]
        for _ in range(4):
            async with running_api(nats_server.url) as api:
                assert len(api.context.projector.projection) == 200
        async with running_api(nats_server.url) as api:
            stop.set()
            await asyncio.gather(*talking)
            projection = api.context.projector.projection
            for session_id, count in sent.items():

                def is_counted(session_id: str = session_id, count: int = count) -> bool:
                    row = projection.row(session_id)
                    return row is not None and row.message_count == count

                await eventually(is_counted)


async def test_a_lost_message_is_noticed(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = MeshSettings(nats_url=nats_server.url)
    async with Mesh(settings, name="seed", provisions=True) as mesh:
        await seed(mesh, 10, "hi")
        receive, dropped = streams._Reading._receive, [False]

        def lossy(self: streams._Reading, subject: bytes, *rest: bytes) -> None:
            if subject == b"session.s5.created" and not dropped[0]:
                dropped[0] = True
            else:
                receive(self, subject, *rest)

        monkeypatch.setattr(streams._Reading, "_receive", lossy)
        with pytest.raises(MeshUnavailable, match="lost messages"):
            [_ async for _ in streams.last_of_each(mesh.connection, RECORDS, PATTERNS, most_bytes=65_536)]
    # The API fills again.
    dropped[0] = False
    async with running_api(nats_server.url) as api:
        assert dropped == [True]
        assert len(api.context.projector.projection) == 10


async def test_nothing_is_left_of_a_reading(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api:
        await seed(api.mesh, 5, "hi")
        [_ async for _ in streams.last_of_each(api.mesh.connection, RECORDS, PATTERNS, most_bytes=65_536)]
        reply = await api.mesh.connection.request("$JS.API.CONSUMER.NAMES.RECORDS", b"", timeout_s=2)
        assert b'"total":0' in reply.body
