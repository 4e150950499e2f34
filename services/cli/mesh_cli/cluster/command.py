"""`mesh cluster dev`: run the whole topology until asked to stop, and say how it is."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from daena_mesh.local import forget_running, note_running
from daena_mesh.settings import load
from mesh_cli.cluster.certificates import ensure_certificate
from mesh_cli.cluster.front import Front, find_nginx
from mesh_cli.cluster.running import HOST, Cluster, free_ports
from mesh_cli.cluster.topology import APIS, EDGES, NODES, Topology, on_loopback, usual_nats_ports
from mesh_cli.listening import Listener, bind
from mesh_cli.rendering import printable
from mesh_cli.stopping import Stop
from mesh_edge.settings import EdgeSettings

_LOOKS_EVERY_S = 1.0


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """What `mesh cluster dev` was told; a port of 0 takes free ones."""

    port: int
    nats_port: int
    data_dir: Path
    tls: bool = True
    verbose: bool = False


def topology_of(options: ClusterOptions) -> Topology:
    """What is to run; raises `ConfigurationError` where certificates cannot be made."""
    count = APIS + EDGES
    ports = range(options.port + 1, options.port + 1 + count) if options.port else [0] * count
    nats_ports = usual_nats_ports(options.nats_port) if options.nats_port else free_ports(3 * NODES)
    folder = options.data_dir.absolute()
    topology = on_loopback(folder, ports=list(ports), nats_ports=nats_ports)
    if replicas := os.environ.get("MESH_REPLICAS", "").strip():
        topology = topology.with_variables(MESH_REPLICAS=replicas)
    if options.tls:
        topology = replace(topology, certificate=ensure_certificate(folder / "tls", [HOST]))
    return topology


async def cluster_dev(options: ClusterOptions) -> int:
    """Run it until it is asked to stop.

    Returns:
        The exit code: 0 after a stop that was asked for, 128 + signal where that came before it was ready.

    Raises:
        MeshError: it cannot run; nothing is left behind.
    """
    stop = Stop()
    try:
        async with AsyncExitStack() as stack:
            page = bind(HOST, options.port)
            stack.callback(page.socket.close)
            topology = topology_of(options)
            cluster = await stack.enter_async_context(Cluster(topology, verbose=options.verbose))
            cluster.services.drain_s = load(EdgeSettings).drain_s
            _say(f"{NODES} nats-servers run; waiting for {APIS} APIs and {EDGES} edges")
            await cluster.ready()
            front = None
            if nginx := find_nginx():
                apis, edges = (_addresses(some) for some in (cluster.apis, cluster.edges))
                front = await stack.enter_async_context(Front(nginx, topology.folder / "nginx", page, apis, edges))
            note_running(topology.nats_urls[0])
            stack.callback(forget_running)
            stop.started()
            at_front = f"{page.url}/   process {front.pid}, nginx in front of all" if front else None
            _say(_banner(cluster, at_front))
            await _watch(partial(_processes, cluster, front), stop)
            _say("Stopping; a second Ctrl-C ends it at once.")
    except asyncio.CancelledError:
        if stop.number is None:
            raise
        return stop.exit_code
    return 0


def _addresses(listeners: list[Listener]) -> list[str]:
    return [listener.url.removeprefix("http://") for listener in listeners]


def _processes(cluster: Cluster, front: Front | None) -> dict[str, int | None]:
    names = [*(node.name for node in cluster.nodes), *cluster.children]
    return {name: cluster.pid(name) for name in names} | ({"nginx": front.pid} if front else {})


async def _watch(processes: Callable[[], dict[str, int | None]], stop: Stop) -> None:
    """Say who died and who is back, until ``stop`` is asked for."""
    before = processes()
    while not stop.asked.is_set():
        try:
            await asyncio.wait_for(stop.asked.wait(), _LOOKS_EVERY_S)
        except TimeoutError:
            now = processes()
            for name, pid in now.items():
                if pid != before[name]:
                    _say(f"{name} {'is gone' if pid is None else f'runs again as process {pid}'}")
            before = now


def _banner(cluster: Cluster, front: str | None) -> str:
    topology = cluster.topology
    lines = ["Daena Mesh runs as a cluster — open on this machine only, without authentication.", ""]
    if front is not None:
        lines.append(f"  page      {front}")
    else:
        lines.append(f"  page      {cluster.apis[0].url}/   (there is no nginx: each serves on its own port)")
    for name, listener in zip(topology.services, (*cluster.apis, *cluster.edges), strict=True):
        lines.append(f"  {name:<9} {listener.url}   process {cluster.pid(name)}")
    for node, url in zip(cluster.nodes, topology.nats_urls, strict=True):
        lines.append(f"  {node.name:<9} {url}   process {node.pid}, {node.monitoring_url}")
    lines += [f"  data      {printable(str(topology.folder))}", "", "Try it in another terminal:"]
    exports = [f"{name}={printable(value)}" for name, value in topology.settings.items()]
    authority = topology.certificate
    tls = f" --tlsca {printable(str(authority.authority))}" if authority else ""
    lines += [
        f"  export {' '.join(exports)}",
        "  mesh tail",
        f"  nats -s {topology.nats_urls[0]}{tls} stream report",
        f"  kill -9 {cluster.nodes[0].pid}   (or any of them: it comes back, and nothing is lost)",
        "",
        "Ctrl-C stops it.",
    ]
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
