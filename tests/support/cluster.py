"""Three real nats-servers in a cluster on loopback, each of which can be killed and started again."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from daena_mesh.embedded import find_binary

_CONFIG = """
server_name: {name}
listen: 127.0.0.1:{port}
jetstream {{ store_dir: "{store}", sync_interval: always }}
cluster {{
    name: daena-test
    listen: 127.0.0.1:{route}
    routes: [{routes}]
    ping_interval: 2s
    ping_max: 2
}}
"""


class Node:
    """One server of a cluster."""

    def __init__(self, folder: Path, name: str, port: int) -> None:
        self.name = name
        self.url = f"nats://127.0.0.1:{port}"
        self.log = folder / f"{name}.log"
        self._config = folder / f"{name}.conf"
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self, port: int, route: int, routes: list[int]) -> None:
        """Write its configuration."""
        peers = ", ".join(f'"nats://127.0.0.1:{peer}"' for peer in routes)
        store = self._config.with_suffix("")
        self._config.write_text(_CONFIG.format(name=self.name, port=port, store=store, route=route, routes=peers))

    def start(self) -> None:
        """Start it; `Cluster.ready` says when it answers."""
        command = [str(find_binary()), "-c", str(self._config), "-l", str(self.log)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Cluster:
    """A cluster of three; a context manager that leaves nothing behind."""

    def __init__(self, folder: Path) -> None:
        ports = _free_ports(6)
        self.nodes = [Node(folder, f"n{i}", port) for i, port in enumerate(ports[:3])]
        for i, node in enumerate(self.nodes):
            node.configure(ports[i], ports[3 + i], ports[3:])

    async def __aenter__(self) -> Self:
        for node in self.nodes:
            node.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self.nodes:
            node.kill()


def _free_ports(count: int) -> list[int]:
    taken = [socket.socket() for _ in range(count)]
    try:
        for sock in taken:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in taken]
    finally:
        for sock in taken:
            sock.close()
