"""nginx in front of a cluster, and what becomes of it when it, or who runs it, is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from mesh_cli.cluster.front import Front
from mesh_cli.listening import Listener, bind
from tests.support.deadlines import eventually, within

pytestmark = pytest.mark.timeout(120)

RUNS = """
import asyncio, sys
from pathlib import Path
from mesh_cli.cluster.front import Front
from mesh_cli.listening import bind

async def main():
    listener = bind("127.0.0.1", 0)
    async with Front(sys.argv[1], Path(sys.argv[2]), listener, ["127.0.0.1:1"], ["127.0.0.1:1"]):
        print(listener.port, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def answer(listener: Listener) -> bytes:
    """The first line of what it says to somebody; nobody is behind it."""
    async with within():
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"HEAD / HTTP/1.0\r\n\r\n")
        line = await reader.readline()
        writer.close()
    return line


def workers(pid: int) -> list[int]:
    """The children of an nginx."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def are_gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def is_free(port: int) -> bool:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the workers in /proc")
async def test_a_master_that_is_killed_takes_its_workers_along_and_nobody_is_refused(
    nginx: Path, tmp_path: Path
) -> None:
    listener = bind("127.0.0.1", 0)
    with listener.socket:
        async with Front(str(nginx), tmp_path, listener, ["127.0.0.1:1"], ["127.0.0.1:1"]) as front:
            first = front.pid
            assert first is not None
            old = workers(first)
            assert old
            os.kill(first, signal.SIGKILL)
            await eventually(lambda: are_gone(old))
            assert await answer(listener) == b"HTTP/1.1 502 Bad Gateway\r\n"  # it waited meanwhile
            second = await eventually(lambda: front.pid if front.pid != first else None)
            assert second is not None
            new = [second, *workers(second)]
        assert are_gone(new)


async def test_who_runs_it_may_be_killed_and_leaves_nothing(nginx: Path, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RUNS, str(nginx), str(tmp_path)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with within():
            port = int(await process.stdout.readline())
        assert not is_free(port)
    finally:
        process.kill()
        await process.wait()
    await eventually(lambda: is_free(port))
