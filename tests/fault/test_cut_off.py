"""A lone nats-server that was killed: it wrote signals lazily, and what may be lost is told."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from daena_mesh.embedded import NatsServer
from daena_mesh.mesh import Mesh
from tests.support.deadlines import eventually, within
from tests.support.processes import children_of
from tests.support.running_mesh import RunningMesh


async def frame(socket: ClientConnection, *event_types: str) -> dict[str, Any]:
    """The next frame of one of these types."""
    async with within(20):
        while True:
            found: dict[str, Any] = json.loads(await socket.recv())
            if found["event_type"] in event_types:
                return found


async def nats_of(mesh: RunningMesh) -> int:
    """The process of the nats-server of a `mesh up`."""
    for guardian, command in (await children_of(mesh.pid)).items():
        if "mesh-guardian" in command:
            for pid, child in (await children_of(guardian)).items():
                if child.split()[0].endswith("nats-server"):
                    return pid
    raise AssertionError("there is none")


@pytest.mark.promise("P-GAP-1")
async def test_signals_that_a_killed_server_may_have_lost_are_told_as_a_gap(mesh_up: RunningMesh) -> None:
    url = mesh_up.url.replace("http", "ws") + "/ws/agent/scout"
    async with Mesh.connect(mesh_up.nats_url) as mesh, connect(url) as socket:
        await frame(socket, "connection")
        before = await mesh.publish("agent.scout.activity", {"activity": 1})
        record = await mesh.publish("council.c1.update", {"update": 1})
        assert (await frame(socket, "agent.activity"))["cursor"] == before.cursor

        os.kill(await nats_of(mesh_up), signal.SIGKILL)
        await eventually(lambda: "starting it again" in mesh_up.log)
        after = await mesh.publish("agent.scout.activity", {"activity": 2})
        gap = await frame(socket, "gap", "agent.activity")
        assert (gap["event_type"], gap["payload"]["reason"]) == ("gap", "reset")
        assert gap["payload"]["from"] == before.cursor
        shown = await frame(socket, "agent.activity")
        assert shown["payload"]["activity"] == 2
        assert not after.cursor or shown["cursor"] == after.cursor
        assert shown["cursor"].split("-")[0] != before.cursor.split("-")[0]

        again = await mesh.publish("council.c1.update", {"update": 2})
        assert again.cursor.split("-")[0] == record.cursor.split("-")[0], "records are written before they are seen"
    async with connect(f"{url}?since={before.cursor}") as socket:
        gap = await frame(socket, "gap", "agent.activity")
        assert (gap["event_type"], gap["payload"]["reason"]) == ("gap", "reset")
        assert (await frame(socket, "agent.activity"))["payload"]["activity"] == 2


@pytest.mark.promise("P-STORE-3")
async def test_signals_of_a_mesh_that_was_stopped_are_all_there(mesh_up: RunningMesh) -> None:
    async with Mesh.connect(mesh_up.nats_url) as mesh:
        first = await mesh.publish("agent.scout.activity", {"activity": 1})
        await mesh.publish("agent.scout.activity", {"activity": 2})
    await mesh_up.restart()
    async with connect(mesh_up.url.replace("http", "ws") + f"/ws/agent/scout?since={first.cursor}") as socket:
        found = await frame(socket, "gap", "agent.activity")
        assert (found["event_type"], found["payload"].get("activity")) == ("agent.activity", 2)


async def test_a_folder_says_whether_its_server_was_cut_off(tmp_path: Path) -> None:
    assert not NatsServer.was_cut_off(tmp_path)
    async with await NatsServer.start(tmp_path, port=0):
        assert NatsServer.was_cut_off(tmp_path)
    assert not NatsServer.was_cut_off(tmp_path)
    server = await NatsServer.start(tmp_path, port=0)
    server.kill()
    await server.wait()
    assert NatsServer.was_cut_off(tmp_path)
    async with await NatsServer.start(tmp_path, port=0):
        pass
    assert not NatsServer.was_cut_off(tmp_path)


async def test_a_mesh_that_was_killed_leaves_a_server_that_ends_well(tmp_path: Path) -> None:
    mesh = RunningMesh(tmp_path)
    await mesh.start()
    await mesh.stop(signal.SIGKILL)
    await eventually(lambda: not NatsServer.was_cut_off(mesh.data_dir))
