"""`mesh.brain(…).report`: how a brain is, told when it is new, and again after a while."""

from __future__ import annotations

import asyncio

import pytest

from daena_mesh.brain import Brain
from daena_mesh.embedded import NatsServer
from daena_mesh.errors import InvalidEvent, InvalidId, MeshUnavailable
from tests.support.deadlines import eventually, within
from tests.support.meshes import events, running


async def test_what_is_new_is_told_at_once_and_the_same_after_a_while(nats_server: NatsServer) -> None:
    async with within(), running(nats_server.url) as mesh, mesh.subscribe("brain.>") as feed:
        brain = mesh.brain()
        status = {"state": "online", "models": ["a"]}
        first = await brain.report(status)
        assert first is not None
        assert await brain.report({"state": "online", "models": ["a"]}) is None
        status["models"].append("b")  # type: ignore[attr-defined]
        assert await brain.report(status) is not None
        brain.every_s = 0.0
        assert await brain.report("away") is not None
        again = await eventually(lambda: brain.report("away"))
        told = await events(feed, 4)
        assert [event.subject for event in told] == ["brain.main.status"] * 4
        assert told[0].payload == {"brain_id": "main", "status": {"state": "online", "models": ["a"]}}
        assert told[1].payload["status"]["models"] == ["a", "b"]
        assert [event.payload["status"] for event in told[2:]] == ["away", "away"]
        assert again is not None
        assert (told[0].cursor, told[3].cursor) == (first.cursor, again.cursor)


async def test_two_at_once_tell_the_same_once(nats_server: NatsServer) -> None:
    async with within(), running(nats_server.url) as mesh:
        brain = mesh.brain("second")
        acks = await asyncio.gather(*(brain.report("well") for _ in range(10)))
        assert len([ack for ack in acks if ack is not None]) == 1


async def test_what_could_not_be_told_is_not_taken_for_told(nats_server: NatsServer) -> None:
    async with within(), running(nats_server.url) as mesh:
        brain = mesh.brain()
        for _ in range(2):
            with pytest.raises(InvalidEvent):
                await brain.report({"not": object()})
        await mesh.close()
        for _ in range(2):
            with pytest.raises(MeshUnavailable):
                await brain.report("well")


async def test_a_bad_id_is_refused(nats_server: NatsServer) -> None:
    async with within(), running(nats_server.url) as mesh:
        for bad in ("", "a.b", "*", "x" * 65):
            with pytest.raises(InvalidId):
                mesh.brain(bad)
            with pytest.raises(InvalidId):
                Brain(mesh, bad)
