"""What a cluster on one machine consists of: who listens where, and in which surroundings each process runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from daena_mesh.nats_config import Certificate, Membership

NODES, APIS, EDGES = 3, 2, 3
CLUSTER = "daena-mesh"
ROUTES_AFTER, MONITORING_AFTER = 2000, 4000
"""How far the ports of routes and of monitoring lie from those of clients, as with NATS's own 4222, 6222 and 8222."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one nats-server lives."""

    name: str
    host: str
    port: int
    route_port: int
    monitoring_port: int
    data_dir: Path
    launcher: Sequence[str] = ()
    """What starts it, such as ``ip netns exec``."""

    @property
    def route(self) -> str:
        """Where its peers find it."""
        return f"{self.host}:{self.route_port}"


@dataclass(frozen=True, kw_only=True)
class Topology:
    """A whole cluster.

    Attributes:
        nodes: the nats-servers.
        folder: where certificates and logs are kept.
        ports: of the APIs, then of the edges; 0 takes a free one.
        launchers: what starts an API or an edge, by its name, where that is more than itself.
        certificate: with which the servers show who they are; None: nothing is encrypted.
        variables: settings of every API and edge.
    """

    nodes: Sequence[Place]
    folder: Path
    ports: Sequence[int]
    launchers: dict[str, Sequence[str]] = field(default_factory=dict)
    certificate: Certificate | None = None
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def services(self) -> list[str]:
        """The names of the APIs and edges, in the order of their ports."""
        return [f"api-{number}" for number in range(1, APIS + 1)] + [f"edge-{n}" for n in range(1, EDGES + 1)]

    @property
    def nats_urls(self) -> list[str]:
        """Where clients find the servers."""
        scheme = "nats" if self.certificate is None else "tls"
        return [f"{scheme}://{node.host}:{node.port}" for node in self.nodes]

    @property
    def settings(self) -> dict[str, str]:
        """The variables with which somebody belongs to this cluster."""
        known = {"MESH_NATS_URL": ",".join(self.nats_urls), "MESH_REPLICAS": str(len(self.nodes))}
        if self.certificate is not None:
            known["MESH_NATS_CA"] = str(self.certificate.authority)
        return {**known, **self.variables}

    def of_service(self, name: str) -> dict[str, str]:
        """The variables of one API or edge.

        Each looks at another node first, so that the death of one does not move everybody.
        """
        urls, turn = self.nats_urls, int(name.rpartition("-")[2]) % len(self.nodes)
        own = {"MESH_NATS_URL": ",".join([*urls[turn:], *urls[:turn]])}
        if name.startswith("edge"):
            own["MESH_EDGE_ID"] = name
        return {**self.settings, **own, **self.variables}

    def membership(self, node: Place) -> Membership:
        """The place of ``node`` in the cluster."""
        return Membership(
            name=node.name,
            cluster=CLUSTER,
            route_port=node.route_port,
            routes=[peer.route for peer in self.nodes],
            monitoring_port=node.monitoring_port,
            certificate=self.certificate,
        )

    def with_variables(self, **variables: str) -> Topology:
        """The same with other settings."""
        return replace(self, variables={**self.variables, **variables})


def on_loopback(folder: Path, *, ports: Sequence[int], nats_ports: Sequence[int]) -> Topology:
    """A topology on 127.0.0.1; the servers keep their data in ``folder``.

    ``nats_ports`` are those for clients, for routes and for monitoring of each node, in this order.
    """
    nodes = [
        Place(
            name=f"n{number + 1}",
            host="127.0.0.1",
            port=nats_ports[3 * number],
            route_port=nats_ports[3 * number + 1],
            monitoring_port=nats_ports[3 * number + 2],
            data_dir=folder / f"n{number + 1}",
        )
        for number in range(NODES)
    ]
    return Topology(nodes=nodes, folder=folder, ports=ports)


def usual_nats_ports(first: int) -> list[int]:
    """The ports of three nodes from ``first`` on."""
    return [port for n in range(first, first + NODES) for port in (n, n + ROUTES_AFTER, n + MONITORING_AFTER)]
