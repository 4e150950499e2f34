"""Edges to test against: in this process, or as a process of their own, always on a real nats-server.

Run as a program it serves an edge on a free port, prints the port, and ends with its standard input::

    python -m tests.support.edge
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import uvicorn
from fastapi import FastAPI
from websockets.exceptions import InvalidStatus

from daena_mesh import Mesh
from daena_mesh.settings import MeshSettings
from mesh_edge import Edge, HandoverProtocol, edge_of
from mesh_edge.app import create_app
from tests.support.deadlines import eventually, within
from tests.support.ws_client import Client

ROOT = Path(__file__).resolve().parents[2]


@asynccontextmanager
async def provisioned_mesh(nats_url: str, **settings: Any) -> AsyncIterator[Mesh]:
    """Give a mesh that has made all streams, as ``mesh up`` does."""
    async with Mesh(MeshSettings(nats_url=nats_url, **settings), name="test", provisions=True) as mesh:
        yield mesh


class RunningEdge:
    """An edge in this process."""

    def __init__(self, app: FastAPI, server: uvicorn.Server, port: int) -> None:
        self.app = app
        self.server = server
        self.port = port

    @property
    def edge(self) -> Edge:
        """The edge itself, to look inside."""
        return edge_of(self.app)

    def connect(self, path: str, **options: Any) -> Client:
        """Give a client for ``async with``; see `Client`."""
        return Client(f"ws://127.0.0.1:{self.port}{path}", **options)

    async def refusal(self, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
        """Give status and body of the answer to a handshake that must be refused."""
        return await refusal(f"ws://127.0.0.1:{self.port}{path}", **options)


def listen(send_buffer_bytes: int = 0) -> socket.socket:
    """Listen on a free port of loopback; ``send_buffer_bytes`` is what the kernel takes for each socket, if not 0."""
    listener = socket.create_server(("127.0.0.1", 0))
    if send_buffer_bytes:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
    listener.setblocking(False)
    return listener


@asynccontextmanager
async def running_edge(
    nats_url: str,
    *,
    app: FastAPI | None = None,
    ws: Any = HandoverProtocol,
    http: Any = "auto",
    is_ready: bool = True,
    send_buffer_bytes: int = 0,
    **settings: Any,
) -> AsyncIterator[RunningEdge]:
    """Serve ``app``, an edge's own unless told otherwise, by uvicorn on a free port; ``settings`` are an edge's.

    Unless ``is_ready`` is False it has found NATS when it is given.
    """
    app = app or create_app()
    config = uvicorn.Config(
        app, http=http, ws=ws, ws_per_message_deflate=False, log_config=None, timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    environment = {f"MESH_{name.upper()}": str(value) for name, value in settings.items()}
    listener = listen(send_buffer_bytes)
    with mock.patch.dict(os.environ, {"MESH_NATS_URL": nats_url, **environment}):
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        async with within():
            while not server.started:
                assert not serving.done(), "uvicorn did not start"
                await asyncio.sleep(0.002)
    running = RunningEdge(app, server, listener.getsockname()[1])
    try:
        await eventually(lambda: running.edge.is_ready or not is_ready)
        yield running
    finally:
        server.should_exit = True
        async with within(15):
            await serving
        listener.close()


class EdgeProcess:
    """An edge as a process of its own, which a test may kill."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port

    def connect(self, path: str, **options: Any) -> Client:
        """Give a client for ``async with``; see `Client`."""
        return Client(f"ws://127.0.0.1:{self.port}{path}", **options)

    async def kill(self) -> None:
        """End it at once, as a crash would."""
        self.process.kill()
        await self.process.wait()

    async def terminate(self) -> int:
        """Send SIGTERM, and give its exit status."""
        self.process.send_signal(signal.SIGTERM)
        async with within():
            return await self.process.wait()

    def private_bytes(self) -> int:
        """Count the memory that is its own (Linux)."""
        lines = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        return 1_024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


@asynccontextmanager
async def edge_process(nats_url: str, **settings: Any) -> AsyncIterator[EdgeProcess]:
    """Serve an edge in a process of its own, on a free port."""
    environment = {f"MESH_{name.upper()}": str(value) for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", "-m", "tests.support.edge"),
        cwd=ROOT,
        env={**os.environ, "MESH_NATS_URL": nats_url, **environment},
        stdin=PIPE,
        stdout=PIPE,
    )
    assert process.stdin
    assert process.stdout
    try:
        async with within(20):
            line = await process.stdout.readline()
        assert line, "the edge ended at its start"
        yield EdgeProcess(process, int(line))
    finally:
        process.stdin.close()
        if process.returncode is None:
            process.kill()
        await process.wait()


async def refusal(url: str, **options: Any) -> tuple[int, dict[str, Any]]:
    """Give status and body of the answer to a handshake that must be refused."""
    import msgspec

    try:
        async with Client(url, **options):
            pass
    except InvalidStatus as error:
        return error.response.status_code, msgspec.json.decode(error.response.body or b"{}")
    raise AssertionError(f"{url[:80]} was let in")


def main() -> None:
    """Serve until the parent is gone or sends SIGTERM."""
    listener, app = listen(), create_app()
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            ws=HandoverProtocol,
            ws_per_message_deflate=False,
            log_level="warning",
            timeout_graceful_shutdown=5,
        )
    )
    started = server.startup

    async def startup(sockets: list[socket.socket] | None = None) -> None:
        await started(sockets)
        await eventually(lambda: edge_of(app).is_ready)
        print(listener.getsockname()[1], flush=True)

    def orphaned() -> None:
        sys.stdin.read()
        os._exit(1)

    with mock.patch.object(server, "startup", startup):
        threading.Thread(target=orphaned, daemon=True).start()
        server.run(sockets=[listener])


if __name__ == "__main__":
    main()
