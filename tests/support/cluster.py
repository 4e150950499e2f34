"""Real nats-servers in a cluster on loopback: three, each of which can be killed and started again, or one alone."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from daena_mesh.embedded import NatsServer
from daena_mesh.nats_config import Certificate, Membership
from mesh_cli.cluster.certificates import ensure_certificate
from mesh_cli.cluster.node import Node
from mesh_cli.cluster.running import HOST, Cluster, free_ports
from mesh_cli.cluster.topology import APIS, EDGES, NODES, Topology, on_loopback


def cluster_topology(folder: Path, *, tls: bool = False) -> Topology:
    """A whole cluster on free ports, with its data in ``folder``."""
    topology = on_loopback(folder, ports=[0] * (APIS + EDGES), nats_ports=free_ports(3 * NODES))
    return replace(topology, certificate=ensure_certificate(folder / "tls", [HOST])) if tls else topology


async def lone_node(folder: Path, name: str, certificate: Certificate | None = None) -> NatsServer:
    """Start a node that is a cluster of its own; it encrypts where it has a certificate."""
    route, port = free_ports(2)
    own = Membership(name=name, cluster=name, route_port=route, routes=[f"{HOST}:{route}"], certificate=certificate)
    return await NatsServer.start(folder / name, port=port, membership=own)


async def kill(node: Node) -> None:
    """End it as a crash would, for as long as nobody starts it."""
    await node.forsake()
    if node.pid is not None:
        os.kill(node.pid, signal.SIGKILL)
        await node.gone()


class NatsCluster:
    """The nats-servers alone; a context manager that leaves nothing behind."""

    def __init__(self, folder: Path) -> None:
        self._cluster = Cluster(cluster_topology(folder), services=False)
        self.nodes = self._cluster.nodes

    @property
    def urls(self) -> list[str]:
        """Where clients find each of them."""
        return self._cluster.topology.nats_urls

    async def kill_all(self) -> None:
        """End them all as a power cut would, for as long as nobody starts them."""
        await asyncio.gather(*map(kill, self.nodes))

    async def start_all(self) -> None:
        """Start them all."""
        await asyncio.gather(*(node.start() for node in self.nodes))

    async def __aenter__(self) -> Self:
        await self._cluster.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._cluster.__aexit__(kind, error, trace)
