"""`mesh cluster dev` as people type it, and streams that get more copies while they are written."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
import nats
import pytest

from daena_mesh.mesh import Mesh
from daena_mesh.settings import MeshSettings
from mesh_cli.cluster.front import find_nginx
from tests.support.cluster import NatsCluster
from tests.support.deadlines import eventually, within

pytestmark = [pytest.mark.timeout(180)]

STREAMS = ("RECORDS", "SIGNALS", "ASKS", "KV_AGENTS", "KV_PRESENCE", "KV_REVOKED")


@asynccontextmanager
async def cluster_dev(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run it on free ports; yields what it says once everything runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mesh_cli", "cluster", "dev", "--port", "0", "--nats-port", "0"),
        *("--data-dir", str(folder)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with within(90):
            yield process, (await process.stdout.readuntil(b"Ctrl-C stops it.\n")).decode()
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def stream_info(connection: Any, name: str) -> dict[str, Any]:
    answer = await connection.request(f"$JS.API.STREAM.INFO.{name}", b"", timeout=10)
    info: dict[str, Any] = msgspec.json.decode(answer.data)
    return info


async def test_it_is_a_cluster_that_encrypts_and_whose_parts_come_back(tmp_path: Path) -> None:
    async with within(150), cluster_dev(tmp_path / "cluster") as (process, banner):
        assert process.stdout is not None
        urls = re.findall(r"tls://127\.0\.0\.1:\d+(?=   process)", banner)
        assert len(urls) == 3
        trusted = ssl.create_default_context(cafile=str(tmp_path / "cluster" / "tls" / "ca.pem"))
        with pytest.raises((ssl.SSLError, nats.errors.NoServersError)):
            # Else it tries for two minutes where the server's end of the connection comes before its error.
            await nats.connect(urls[0], allow_reconnect=False, max_reconnect_attempts=1, error_cb=ignore)
        connection = await nats.connect(urls, tls=trusted)
        for name in STREAMS:
            info = await stream_info(connection, name)
            assert (info["config"]["num_replicas"], len(info["cluster"]["replicas"])) == (3, 2), name
        pages = re.findall(r"  (?:page|api-\d)\s+(http://\S+?)/?(?=\s)", banner)
        async with httpx.AsyncClient() as http:
            for url in pages:
                assert (await http.get(f"{url}/readyz")).json() is not None
            said = await http.post(f"{pages[0]}/api/v1/daena/chat", json={"message": "Hello", "session_id": "s1"})
            assert said.status_code == 200
        (edge, victim), *_ = re.findall(r"  (edge-\d)   +\S+ +process (\d+)", banner)
        (node, other), *_ = re.findall(r"  (n\d)   +\S+ +process (\d+)", banner)
        victims = {edge: victim, node: other}
        if find_nginx() is not None:
            (victims["nginx"],) = re.findall(r"  page +\S+ +process (\d+), nginx", banner)
        for pid in victims.values():
            os.kill(int(pid), signal.SIGKILL)
        told = ""
        async with within(60):
            while not all(f"{name} runs again" in told for name in victims):
                told += (await process.stdout.readline()).decode()
        await eventually(partial(remembers, connection, 2), within_s=60)
        await connection.close()
        process.send_signal(signal.SIGTERM)
        async with within(60):
            assert await process.wait() == 0


async def remembers(connection: Any, count: int) -> bool:
    """Whether there are so many records, once whoever leads them is found."""
    with contextlib.suppress(nats.errors.Error):
        return bool((await stream_info(connection, "RECORDS"))["state"]["messages"] >= count)
    return False


async def ignore(_error: Exception) -> None:
    """It is what the test is about."""


async def test_streams_get_three_copies_while_they_are_written(tmp_path: Path) -> None:
    async with within(150), NatsCluster(tmp_path) as cluster:
        urls = ",".join(cluster.urls)
        one = MeshSettings(nats_url=urls, replicas=1)
        async with Mesh(one, name="before", provisions=True, wait_s=60) as mesh:
            acknowledged: list[int] = []
            stopped = asyncio.Event()

            async def write() -> None:
                while not stopped.is_set():
                    await mesh.chat("s1").send(str(len(acknowledged)), sender="u")
                    acknowledged.append(len(acknowledged))

            writing = asyncio.create_task(write())
            await eventually(lambda: len(acknowledged) > 100, within_s=30)
            assert (await stream_info(mesh.connection.client, "SIGNALS"))["config"]["num_replicas"] == 1
            before = len(acknowledged)
            three = MeshSettings(nats_url=urls, replicas=3)
            async with Mesh(three, name="after", provisions=True, wait_s=60):
                for name in STREAMS:
                    await eventually(partial(has_copies, mesh, name), within_s=60)
                await eventually(lambda: len(acknowledged) > before + 100, within_s=30)
                stopped.set()
                await writing
                stored = await mesh.chat("s1").history(len(acknowledged) + 10)
            assert [int(event.payload["content"]) for event in stored] == acknowledged


async def has_copies(mesh: Mesh, name: str) -> bool:
    """Whether two others have all of it."""
    replicas = (await stream_info(mesh.connection.client, name))["cluster"].get("replicas", [])
    return len(replicas) == 2 and all(replica["current"] for replica in replicas)
