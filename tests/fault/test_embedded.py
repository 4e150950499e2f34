from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from daena_mesh.embedded import NatsServer
from daena_mesh.local import is_alive
from tests.support.deadlines import eventually, within
from tests.support.processes import all_gone, children_of, none_left
from tests.support.running_mesh import RunningMesh

PARENT = """
import asyncio, sys
from pathlib import Path
from daena_mesh.embedded import NatsServer

async def main():
    server = await NatsServer.start(Path(sys.argv[1]), port=0)
    print(server.pid, flush=True)
    await server.wait()

asyncio.run(main())
"""


async def parent_of_a_server(data_dir: Path) -> tuple[asyncio.subprocess.Process, int]:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(data_dir), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    async with within(10):
        return parent, int(await parent.stdout.readline())


@pytest.mark.promise("P-SERVER-1")
async def test_a_killed_parent_takes_the_server_along(tmp_path: Path) -> None:
    parent, server = await parent_of_a_server(tmp_path)
    with none_left(server):
        parent.kill()
        await parent.wait()
        await all_gone(server, within_s=4)  # asked, not killed


async def test_a_killed_parent_takes_even_a_frozen_server_along_and_nobody_starts_beside_it(tmp_path: Path) -> None:
    parent, server = await parent_of_a_server(tmp_path)
    os.kill(server, signal.SIGSTOP)
    with none_left(server):
        parent.kill()
        await parent.wait()
        async with within(), await NatsServer.start(tmp_path, port=0):
            assert not is_alive(server)


async def test_the_directory_is_free_as_soon_as_the_killed_parents_server_is_gone(tmp_path: Path) -> None:
    parent, server = await parent_of_a_server(tmp_path)
    with none_left(server):
        parent.kill()
        await parent.wait()
        async with within(), await NatsServer.start(tmp_path, port=0):
            assert not is_alive(server)


async def test_ctrl_c_in_the_terminal_reaches_the_parent_alone(tmp_path: Path) -> None:
    parent, server = await parent_of_a_server(tmp_path)
    with none_left(server):
        groups = os.getpgid(server), os.getpgid(parent.pid)
        parent.kill()
        await parent.wait()
        await all_gone(server)
    assert groups[0] != groups[1]


@pytest.mark.promise("P-STORE-3")
async def test_a_mesh_whose_guardian_is_killed_comes_back_with_what_was_said(mesh_up: RunningMesh) -> None:
    async with within(40), httpx.AsyncClient(base_url=mesh_up.url) as client:
        said = (await client.post("/api/v1/daena/chat", json={"message": "Still there?"})).json()
        (guardian,) = [
            pid for pid, command in (await children_of(mesh_up.pid)).items() if command.startswith("/bin/sh")
        ]
        os.kill(guardian, signal.SIGKILL)

        async def ready() -> int:
            return (await client.get("/readyz")).status_code

        async def is_down() -> bool:
            return await ready() == 503

        async def is_back() -> bool:
            return await ready() == 200

        await eventually(is_down)
        await eventually(is_back, within_s=20)
        session = (await client.get(f"/api/v1/chat-history/sessions/{said['session_id']}")).json()
        assert [message["payload"]["content"] for message in session["messages"]] == ["Still there?"]
