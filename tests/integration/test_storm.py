"""Two thousand clients come at once, and whoever was there before is still answered."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from pathlib import Path

import pytest

from daena_mesh.embedded import NatsServer
from mesh_cli.bench.machine import allow_sockets
from tests.support.edge import provisioned_mesh
from tests.support.edge_command import edge_command
from tests.support.ws_client import handshake, masked

CLIENTS = 2_000
PING = masked(0x89, b"")


class Bystander(threading.Thread):
    """Pings an edge on a socket of its own and notes how long each answer takes, in a thread without an event loop."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.waits: list[float] = []
        self.is_over = False
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.sendall(handshake("/ws/council"))
        self._hear(b'"recovered":true')

    def run(self) -> None:
        """Until it is over."""
        while not self.is_over:
            began = time.perf_counter()
            self._socket.sendall(PING)
            self._hear(b"\x8a\x00")
            self.waits.append(time.perf_counter() - began)
            time.sleep(0.001)
        self._socket.close()

    def _hear(self, what: bytes) -> None:
        said = b""
        while what not in said:
            said += self._socket.recv(65_536)


def storm(port: int, head: bytes) -> int:
    """Let all of them ask at once; give how many were let in."""
    allow_sockets(CLIENTS)
    clients = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(CLIENTS)]
    try:
        for client in clients:
            client.sendall(head)
        return sum(is_let_in(client) for client in clients)
    finally:
        for client in clients:
            client.close()


def is_let_in(client: socket.socket) -> bool:
    """Tell whether the answer is a good one."""
    said = b""
    while b"\r\n\r\n" not in said:
        data = client.recv(4_096)
        if not data:
            return False
        said += data
    return said.startswith((b"HTTP/1.1 101 ", b"HTTP/1.1 200 "))


@pytest.mark.promise("P-STORM-1")
@pytest.mark.parametrize("path", ["/ws/chat/storm", "/ws/chat/storm?odd=1", "/ws", "/sse/chat/storm"])
async def test_whoever_is_there_is_answered_while_two_thousand_come(
    nats_server: NatsServer, tmp_path: Path, path: str
) -> None:
    async with (
        provisioned_mesh(nats_server.url),
        edge_command(nats_server.url, folder=tmp_path, handshakes_per_s=100_000, drain_s=0) as edge,
    ):
        head = handshake(path) if path.startswith("/ws") else b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode()
        bystander = await asyncio.to_thread(Bystander, edge.port)
        bystander.start()
        began = time.perf_counter()
        assert await asyncio.to_thread(storm, edge.port, head) == CLIENTS
        lasted = time.perf_counter() - began
        bystander.is_over = True
        await asyncio.to_thread(bystander.join)
    print(f"{path}: {max(bystander.waits) * 1e3:.0f} ms at worst while {CLIENTS:,} came in {lasted:.1f} s")
    # A loop that took all of them in at once would answer when it is done with them.
    assert max(bystander.waits) < max(1.0, lasted / 2)
