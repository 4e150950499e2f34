"""`mesh top` of a mesh that runs, as an operator calls it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import httpx
import pytest

from daena_mesh import Mesh
from tests.support.deadlines import eventually, within
from tests.support.running_mesh import RunningMesh

pytestmark = pytest.mark.timeout(120)


async def top(url: str, **variables: str) -> tuple[int, str]:
    """Its exit code, and what it prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mesh_cli", "top", "--once", "--every", "1", "--nats-url", url),
        env={"COLUMNS": "120", **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with within(60):
        told, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, told.decode()


async def test_it_shows_the_processes_and_streams_there_are(mesh_up: RunningMesh) -> None:
    async with Mesh.connect(mesh_up.nats_url) as mesh:
        await mesh.chat("s1").send("hello", sender="ada")
    code, told = await top(mesh_up.nats_url)
    assert code == 0, told
    for word in ("EDGE", "API", "RECORDS", "SIGNALS", "ASKS", "daena-mesh", "current"):
        assert word in told
    async with httpx.AsyncClient() as http:

        async def size() -> bool:
            metrics = (await http.get(f"{mesh_up.url}/metrics")).text
            return 'mesh_api_stream_bytes{stream="RECORDS"}' in metrics

        await eventually(size, within_s=20)


async def test_an_operators_credentials_are_enough(tmp_path: Path) -> None:
    data = tmp_path / "mesh" / ".mesh"
    (tmp_path / "mesh").mkdir()
    for words in (("init",), ("ops", "ada")):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mesh_cli", "creds", *words, "--data-dir", str(data)),
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert await process.wait() == 0
    async with RunningMesh(tmp_path / "mesh", "--secure") as mesh:
        code, told = await top(mesh.nats_url, MESH_NATS_CREDS=str(data / "creds" / "users" / "ada.creds"))
    assert code == 0, told
    assert "RECORDS" in told
    assert "nobody answers" not in told
