"""A cluster that runs: three nats-servers, two APIs and three edges, all of them looked after."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from mesh_cli.children import Child, Children
from mesh_cli.cluster.node import Node
from mesh_cli.cluster.topology import APIS, Topology
from mesh_cli.listening import Listener, bind

HOST = "127.0.0.1"


class Cluster:
    """Everything but the proxy; a context manager that leaves nothing behind.

    ``services`` False runs the nats-servers alone.
    """

    def __init__(self, topology: Topology, *, services: bool = True, verbose: bool = False) -> None:
        self.topology = topology
        self.nodes = [Node(topology, place) for place in topology.nodes]
        self._listeners: list[Listener] = []
        self._has_services = services
        self._verbose = verbose
        self.services = Children([], "")
        self.children: dict[str, Child] = {}

    @property
    def apis(self) -> list[Listener]:
        """Where the APIs serve."""
        return self._listeners[:APIS]

    @property
    def edges(self) -> list[Listener]:
        """Where the edges serve."""
        return self._listeners[APIS:]

    async def __aenter__(self) -> Self:
        try:
            if self._has_services:
                self._bind()
            await asyncio.gather(*(node.start() for node in self.nodes))
            await self.services.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def ready(self) -> None:
        """Return when every API and edge says that it is ready."""
        await self.services.ready()

    async def stop(self) -> None:
        """End everything, the services first."""
        await self.services.stop()
        for listener in self._listeners:
            listener.socket.close()
        await asyncio.gather(*(node.stop() for node in self.nodes))

    def pid(self, name: str) -> int | None:
        """The process of a node, an API or an edge; None while there is none."""
        for node in self.nodes:
            if node.name == name:
                return node.pid
        return self.services.pid(self.children[name])

    def _bind(self) -> None:
        topology = self.topology
        for name, port in zip(topology.services, topology.ports, strict=True):
            listener = bind(HOST, port, flag="--port (APIs and edges take the ports after it)")
            self._listeners.append(listener)
            self.children[name] = Child(
                name,
                (name.partition("-")[0],),
                listener,
                variables=tuple(topology.of_service(name).items()),
                launcher=tuple(topology.launchers.get(name, ())),
            )
        self.services = Children(list(self.children.values()), "", verbose=self._verbose)


def free_ports(count: int, host: str = HOST) -> Sequence[int]:
    """Ports that are free now: NATS has to be told of all routes before any server runs."""
    taken = [socket.socket() for _ in range(count)]
    try:
        for sock in taken:
            sock.bind((host, 0))
        return [int(sock.getsockname()[1]) for sock in taken]
    finally:
        for sock in taken:
            sock.close()
