"""All streams are backed up and restored with the `nats` command, and a restore is told."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from daena_mesh import Gap, Mesh
from daena_mesh.embedded import NatsServer
from daena_mesh.settings import MeshSettings
from tests.support.deadlines import within

pytestmark = pytest.mark.timeout(120)


def a_mesh(server: NatsServer) -> Mesh:
    return Mesh(MeshSettings(nats_url=server.url), name="tester", provisions=True)


async def run(*command: str | Path) -> str:
    """What it prints; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with within(60):
        told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()
    return told.decode()


async def said(mesh: Mesh, count: int) -> list[str]:
    """The newest messages, oldest first."""
    return [event.payload["content"] for event in await mesh.chat("s1").history(count)]


@pytest.mark.promise("P-GAP-1")
async def test_a_restore_is_told_to_who_stood_behind_the_backup(nats_cli: Path, tmp_path: Path) -> None:
    nats: list[str | Path] = [nats_cli, "--no-context"]
    mesh_command = [sys.executable, "-m", "mesh_cli"]
    async with await NatsServer.start(tmp_path / "first", port=0) as server, a_mesh(server) as mesh:
        chat = mesh.chat("s1")
        kept = [await chat.send(f"kept {number}", sender="ada") for number in range(20)]
        await mesh.publish("agent.scout.activity", {"activity": {"state": "searching"}})
        await run(*nats, "--server", server.url, "backup", "account", tmp_path / "backup", "--force")
        lost = [await chat.send(f"lost {number}", sender="ada") for number in range(3)]
    async with await NatsServer.start(tmp_path / "second", port=0) as server:
        await run(*nats, "--server", server.url, "backup", "restore", "account", tmp_path / "backup")
        told = await run(*mesh_command, "epoch", "--nats-url", server.url)
        assert told.count("has begun another life") == 2
        async with a_mesh(server) as mesh:
            assert await said(mesh, 50) == [f"kept {number}" for number in range(20)]
            again = [await mesh.chat("s1").send(f"new {number}", sender="ada") for number in range(10)]
            # The numbers alone do not tell: what was lost has the same as what is new.
            assert lost[1].seq in {ack.seq for ack in again}
            for cursor in (lost[1].cursor, kept[3].cursor):
                async with within(20):
                    first = await anext(aiter(mesh.subscribe("chat.s1.>", since=cursor)))
                assert isinstance(first, Gap)
                assert first.reason == "reset"
            assert await said(mesh, 10) == [f"new {number}" for number in range(10)]
            # And who sends a message of before once more is not stored twice.
            assert (await mesh.publish("agent.scout.activity", {"activity": {"state": "idle"}})).cursor


async def test_what_is_no_stream_is_refused(nats_server: NatsServer) -> None:
    for streams, says in (([], "stream RECORDS is not provisioned yet"), (["ASKS"], "'ASKS' is no stream of events")):
        if streams:
            async with a_mesh(nats_server):
                pass
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mesh_cli", "epoch", *streams, "--nats-url", nats_server.url),
            stderr=asyncio.subprocess.PIPE,
        )
        async with within(30):
            _, told = await process.communicate()
        assert (process.returncode, says in " ".join(told.decode().split())) == (1, True), told
