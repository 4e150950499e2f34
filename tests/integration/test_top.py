"""`mesh top` of a mesh that runs, as an operator calls it."""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

import httpx
import pytest

from daena_mesh import Mesh
from daena_mesh.layout import RECORDS
from tests.support.deadlines import eventually, within
from tests.support.running_mesh import RunningMesh
from tests.support.ws_client import Client

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


def rows(told: str, title: str) -> list[list[str]]:
    """The cells of a table, below its head."""
    lines = [line.split() for line in told.splitlines()]
    (head,) = [number for number, line in enumerate(lines) if line[:1] == [title]]
    return list(itertools.takewhile(bool, lines[head + 2 :]))


async def test_it_shows_the_processes_and_streams_there_are(mesh_up: RunningMesh) -> None:
    here = Client(f"ws{mesh_up.url.removeprefix('http')}/ws/chat/s1", origin=mesh_up.url)
    async with Mesh.connect(mesh_up.nats_url) as mesh, here:
        for text in ("hello", "and again"):
            await mesh.chat("s1").send(text, sender="ada")
        code, told = await top(mesh_up.nats_url)
        first, last = await mesh.log.bounds(RECORDS)
    assert code == 0, told
    ((edge, sockets, topics, *_),) = rows(told, "EDGE")
    assert edge.startswith("edge-")
    assert (sockets, topics) == ("1", "1")
    (api,) = rows(told, "API")
    assert int(api[3]) > 0, "it was asked whether it is ready"
    streams = {name: figures for name, *figures in rows(told, "STREAM")}
    assert streams.keys() >= {"RECORDS", "SIGNALS", "ASKS"}
    assert streams["RECORDS"][1] == str(last - first + 1)
    ((node, state, *_),) = rows(told, "NATS")
    assert (node, state) == ("daena-mesh", "current")
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
    assert len(rows(told, "EDGE")) == len(rows(told, "API")) == 1
    assert "RECORDS" in [name for name, *_ in rows(told, "STREAM")]
    assert "nobody answers" not in told
