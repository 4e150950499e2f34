"""What NATS tells at its monitoring endpoint alone: whether it syncs each write, and how many servers there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from daena_mesh.nats_config import read_ports
from mesh_cli.doctor.finding import Finding, fine, problem, warning
from mesh_cli.doctor.server import Server
from mesh_cli.doctor.web import get

_DEFAULT_PORT = 8222


class Monitoring(msgspec.Struct, frozen=True):
    """What was read there; None where it could not be seen."""

    sync_always: bool | None = None
    servers: int | None = None


class _JetStream(msgspec.Struct):
    server_id: str = ""
    config: dict[str, Any] = {}
    meta_cluster: dict[str, Any] = {}


async def look_at_monitoring(server: Server, url: str, data_dir: Path) -> Monitoring:
    """Read it at ``url``, where `mesh up` with ``data_dir`` has it, or at the port that is usual."""
    places = [url] if url else _places(server, data_dir)
    for place in places:
        answer = await get(place, "/jsz")
        try:
            told = msgspec.json.decode(answer.body, type=_JetStream)
        except msgspec.DecodeError:
            continue
        if answer.status != 200 or (not url and told.server_id != server.server_id):
            continue  # another NATS of this machine
        size = told.meta_cluster.get("cluster_size")
        sync_always = told.config.get("sync_always", False) if told.config else None
        return Monitoring(sync_always, size if isinstance(size, int) else 1)
    return Monitoring()


def judge_monitoring(server: Server, monitoring: Monitoring) -> list[Finding]:
    """Whether what was acknowledged survives a power cut."""
    mend = "set `sync_interval: always` in the `jetstream` block of each server and restart them one by one"
    if server.reason:
        return []
    if monitoring.sync_always is None:
        where = (
            "say where the server is monitored, such as --monitor-url http://127.0.0.1:8222 (`http_port` in its file)"
        )
        return [warning("sync_always", "cannot be seen: no monitoring endpoint of this server answers", where)]
    if monitoring.sync_always:
        return [fine("sync_always", "on: what was acknowledged survives a power cut")]
    return [problem("sync_always", "off: a power cut takes up to two minutes of what was acknowledged", mend)]


def _places(server: Server, data_dir: Path) -> list[str]:
    host = f"[{server.host}]" if ":" in server.host else server.host or "127.0.0.1"
    ports = read_ports(data_dir / "run")
    own = [f"http://{host}:{ports.monitoring_port}"] if ports is not None and ports.port == server.port else []
    return [*own, f"http://{host}:{_DEFAULT_PORT}"]
