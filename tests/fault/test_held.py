"""A leader that refuses what it does not store steps down: a real cluster, whose leader cannot store for a while.

That nodes which are frozen keep an id in process is the one way in which a test can have one; for the leader it is the
same.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from daena_mesh import Mesh
from daena_mesh.connection import header_block
from daena_mesh.errors import MeshUnavailable
from daena_mesh.held import REPORTS, Report
from daena_mesh.layout import RECORDS
from daena_mesh.settings import MeshSettings
from mesh_api.step_down import StepDown
from mesh_cli.cluster.node import Node
from tests.support.cluster import NatsCluster
from tests.support.connections import leader_of
from tests.support.deadlines import eventually, within

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

STEPS_DOWN = "$JS.API.STREAM.LEADER.STEPDOWN.RECORDS"


class Stage:
    """A cluster, an API's part of it, and who writes; both at the node that leads RECORDS."""

    def __init__(self, mesh: Mesh, writer: Mesh, others: list[Node], step_down: StepDown) -> None:
        self.mesh = mesh
        self.writer = writer
        self.step_down = step_down
        self._others = others
        self.asked: list[bytes] = []
        """What leaders were asked to step down."""

    def freeze(self, how: signal.Signals = signal.SIGSTOP) -> None:
        """Have the leader alone: it takes what is written, and cannot store it."""
        for node in self._others:
            assert node.pid is not None
            os.kill(node.pid, how)


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with NatsCluster(tmp_path) as cluster, AsyncExitStack() as stack:
        settings = MeshSettings(nats_url=",".join(cluster.urls), replicas=3)
        async with Mesh(settings, name="first", provisions=True, wait_s=60) as first:
            await eventually(lambda: first.connection.state == "connected", within_s=60)
            leader = await eventually(lambda: leader_of(first.connection, RECORDS), within_s=60)
            await first.log.append(
                "chat.s1.message",
                first.encode("chat.s1.message", {"session_id": "s1", "sender": "user", "content": "before"}, "before"),
                event_id="before",
                msg_id="before",
                deadline_s=60,
                patience_s=60,
            )
        names = [node.name for node in cluster.nodes]
        at = MeshSettings(nats_url=cluster.urls[names.index(leader)])
        mesh = await stack.enter_async_context(Mesh(at, name="api", provisions=True, wait_s=60))
        writer = await stack.enter_async_context(Mesh(at, name="writer", wait_s=60))
        await eventually(lambda: mesh.connection.state == writer.connection.state == "connected", within_s=30)
        step_down = StepDown(mesh)
        step_down.start()
        stage = Stage(mesh, writer, [node for node in cluster.nodes if node.name != leader], step_down)
        writer.connection.subscribe(STEPS_DOWN, lambda _subject, _reply, _headers, _body: stage.asked.append(b"asked"))
        await writer.connection.flush()
        try:
            yield stage
        finally:
            stage.freeze(signal.SIGCONT)
            await step_down.close()


@pytest.mark.promise("P-HELD-1")
async def test_a_leader_that_refuses_what_it_does_not_store_steps_down(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long before its clients notice that it is alone, and leave it.
    monkeypatch.setattr("daena_mesh.log._ATTEMPT_S", 0.1)
    monkeypatch.setattr("daena_mesh.held._PATIENCE_S", 0.0)
    monkeypatch.setattr("mesh_api.step_down._AGAIN_S", 0.1)
    stage.freeze()

    async def write() -> None:
        while True:
            try:
                await stage.writer.publish("chat.s1.message", {"content": "held", "session_id": "s1"}, event_id="one")
                return
            except MeshUnavailable:
                await asyncio.sleep(0.05)

    writing = asyncio.create_task(write())
    try:
        await eventually(lambda: stage.asked, within_s=60)
        stage.freeze(signal.SIGCONT)
        async with within(60):
            await writing
    finally:
        writing.cancel()
    events = await stage.writer.chat("s1").history()
    assert [event.payload["content"] for event in events] == ["before", "held"]


async def tell(stage: Stage, stream: str, body: bytes, heard: list[bytes]) -> None:
    """Say something of ``stream``, and wait until the API has heard it."""
    count = len(heard) + 2
    for each in (body, b"and so on"):  # of two that listen on one connection, either may come first
        stage.writer.connection.publish(f"{REPORTS}{stream}", each)
    await eventually(lambda: len(heard) >= count)


@pytest.mark.promise("P-HELD-1")
async def test_who_says_so_of_what_is_not_held_moves_nobody_and_stores_nothing(stage: Stage) -> None:
    heard, probes = list[bytes](), list[bytes]()
    stage.mesh.connection.subscribe(f"{REPORTS}*", lambda _subject, _reply, _headers, body: heard.append(body))
    for pattern in ("chat.>", "agent.>", "ask.>", "nobody.>"):
        stage.writer.connection.subscribe(pattern, lambda subject, _reply, _headers, _body: probes.append(subject))
    await stage.mesh.connection.flush()
    await stage.writer.connection.flush()

    await tell(stage, RECORDS, msgspec.json.encode(Report("chat.s1.message", "never-seen")), heard)
    await eventually(lambda: probes)  # the leader is asked
    async with within():
        await asyncio.gather(*stage.step_down._looking.values())
    for subject, msg_id, stream in (
        ("chat.*.message", "x", RECORDS),
        ("chat.s1.message\r\nPUB x 0", "x", RECORDS),
        ("chat.s1.message", "x\r\ny: z", RECORDS),
        ("agent.a1.activity", "x", RECORDS),
        ("chat.s1.message", "x", "NOTHING"),
        ("chat.s1.message", "x", "ASKS"),
        ("nobody.knows", "x", RECORDS),
    ):
        await tell(stage, stream, msgspec.json.encode(Report(subject, msg_id)), heard)
        assert not stage.step_down._looking, subject
    await tell(stage, RECORDS, b"\xff{", heard)
    assert probes == [b"chat.s1.message"]
    assert not stage.asked
    # The id is as free as it was.
    reply = await stage.writer.connection.request(
        "chat.s1.message", b"{}", timeout_s=5, headers=header_block({"Nats-Msg-Id": "never-seen"})
    )
    assert "duplicate" not in msgspec.json.decode(reply.body)
    assert len(await stage.writer.chat("s1").history()) == 2
