"""The cluster that faults happen to: `mesh cluster dev` without its proxy, each process where it can be cut off."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from daena_mesh.errors import MeshError
from daena_mesh.mesh import Mesh
from daena_mesh.settings import MeshSettings
from mesh_cli.cluster.certificates import ensure_certificate
from mesh_cli.cluster.node import Node
from mesh_cli.cluster.running import HOST, Cluster, free_ports
from mesh_cli.cluster.topology import APIS, EDGES, NODES, Topology, on_loopback, usual_nats_ports
from tests.chaos.disks import Disks, can_mount_disks
from tests.chaos.network import Network, can_make_networks
from tests.support.deadlines import eventually

NODE_NAMES = tuple(f"n{number + 1}" for number in range(NODES))


class Stage:
    """A context manager; ``network`` and ``disks`` are None where this machine does not allow them."""

    def __init__(self, folder: Path, *, variables: dict[str, str] | None = None, services: bool = True) -> None:
        self._folder = folder
        self._variables = variables or {}
        self._has_services = services
        self._stack = AsyncExitStack()
        self.network: Network | None = None
        self.disks: Disks | None = None
        self.cluster: Cluster
        self.operator: Mesh
        """A connection of the test's own, to look at streams with."""

    async def __aenter__(self) -> Self:
        try:
            await self._enter()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _enter(self) -> None:
        topology = self._topology()
        self.cluster = await self._stack.enter_async_context(Cluster(topology, services=self._has_services))
        async with asyncio.timeout(90):
            await self.cluster.ready()
        self.operator = self.mesh("operator", provisions=not self._has_services)
        await self._stack.enter_async_context(self.operator)

    def _topology(self) -> Topology:
        names = [*NODE_NAMES, *(f"api-{n + 1}" for n in range(APIS)), *(f"edge-{n + 1}" for n in range(EDGES))]
        if can_make_networks():
            self.network = self._stack.enter_context(Network(names))
        if can_mount_disks():
            self.disks = self._stack.enter_context(Disks(self._folder, NODE_NAMES))
        ports = usual_nats_ports(4222) if self.network else free_ports(3 * NODES)
        topology = on_loopback(self._folder, ports=[0] * (APIS + EDGES), nats_ports=ports)
        nodes = list(topology.nodes)
        addresses = [HOST]
        if self.disks:
            nodes = [replace(node, data_dir=self.disks.path(node.name) / "nats") for node in nodes]
        launchers: dict[str, Sequence[str]] = {}
        if self.network:
            network = self.network
            nodes = [replace(n, host=network.address(n.name), launcher=network.launcher(n.name)) for n in nodes]
            addresses += [node.host for node in nodes]
            launchers = {name: network.launcher(name) for name in names[NODES:]}
        certificate = ensure_certificate(self._folder / "tls", addresses)
        return replace(topology, nodes=nodes, launchers=launchers, certificate=certificate, variables=self._variables)

    def mesh(self, name: str, turn: int = 0, *, provisions: bool = False) -> Mesh:
        """A connection of an agent, which looks at another node first for each ``turn``."""
        urls = self.cluster.topology.nats_urls
        known = self.cluster.topology.settings
        turned = ",".join([*urls[turn % NODES :], *urls[: turn % NODES]])
        settings = MeshSettings(nats_url=turned, nats_ca=known["MESH_NATS_CA"], replicas=3)
        return Mesh(settings, name=name, wait_s=20, provisions=provisions)

    def node(self, name: str) -> Node:
        """The nats-server of that name."""
        return next(node for node in self.cluster.nodes if node.name == name)

    async def leader(self, stream: str = "RECORDS") -> str:
        """The node that leads a stream, once there is one."""
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(MeshError, msgspec.DecodeError):
                    info = await self.stream(stream)
                    if name := (info.get("cluster") or {}).get("leader"):
                        return str(name)
                await asyncio.sleep(0.2)

    async def follower(self, stream: str = "RECORDS") -> str:
        """A node that follows the leader of a stream."""
        leader = await self.leader(stream)
        return next(name for name in NODE_NAMES if name != leader)

    async def stream(self, name: str) -> dict[str, Any]:
        """What JetStream says of a stream; raises `MeshUnavailable`."""
        reply = await self.operator.connection.request(f"$JS.API.STREAM.INFO.{name}", b"", timeout_s=2)
        info: dict[str, Any] = msgspec.json.decode(reply.body)
        return info

    async def node_of(self, service: str) -> str:
        """The node that an API or an edge is connected to, or will be: another fault may have just ended it."""
        wanted = f"mesh-{service.partition('-')[0]}/"
        assert self.network is not None
        address = self.network.address(service)

        async def found() -> str | None:
            for node in self.cluster.nodes:
                with contextlib.suppress(httpx.HTTPError):  # one that is being killed does not say
                    listed = (await http.get(f"{node.monitoring_url}/connz")).json()["connections"]
                    if any(c["ip"] == address and c.get("name", "").startswith(wanted) for c in listed):
                        return node.name
            return None

        async with httpx.AsyncClient(timeout=5) as http:
            name = await eventually(found, within_s=30)
        assert name is not None
        return name

    async def limit(self, stream: str, max_bytes: int) -> None:
        """Change how much a stream keeps."""
        config = {**(await self.stream(stream))["config"], "max_bytes": max_bytes}
        await self._ask(f"UPDATE.{stream}", config)

    async def delete(self, stream: str) -> None:
        """Delete a stream."""
        await self._ask(f"DELETE.{stream}", {})

    async def _ask(self, verb: str, request: dict[str, Any]) -> None:
        body = msgspec.json.encode(request)
        reply = await self.operator.connection.request(f"$JS.API.STREAM.{verb}", body, timeout_s=10)
        answer = msgspec.json.decode(reply.body)
        assert "error" not in answer, answer

    async def all_copies(self) -> None:
        """Return once every stream has three copies that are up to date."""
        for name in ("RECORDS", "SIGNALS", "ASKS"):
            await eventually(partial(self._has_copies, name), within_s=60)

    async def _has_copies(self, name: str) -> bool:
        try:
            cluster = (await self.stream(name)).get("cluster") or {}
        except (MeshError, msgspec.DecodeError):
            return False
        replicas = cluster.get("replicas") or []
        return bool(cluster.get("leader")) and len(replicas) == NODES - 1 and all(r.get("current") for r in replicas)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process of the cluster, if there is one of this name now."""
        pid = self.cluster.pid(name)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def crash(self, name: str) -> None:
        """End a nats-server at once, for as long as nobody starts it."""
        node = self.node(name)
        await node.forsake()
        self.signal(name, signal.SIGKILL)
        await node.gone()

    async def restarted(self, name: str, before: int | None) -> None:
        """Return once another process than ``before`` runs under this name."""
        await eventually(lambda: self.cluster.pid(name) not in {None, before}, within_s=60)
