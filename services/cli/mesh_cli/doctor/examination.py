"""All checks in order, over one connection to NATS that changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from daena_mesh import __version__
from daena_mesh.connection import Connection
from daena_mesh.credentials import inbox_of, read_credentials
from daena_mesh.errors import ConfigurationError
from daena_mesh.layout import Layout
from daena_mesh.mesh import authority_of, whereabouts
from daena_mesh.provisioning import wanted_streams
from daena_mesh.settings import load
from daena_mesh.tokens import Keyring, TokenSettings
from mesh_cli.doctor.doors import judge_access, judge_doors, look_at_doors
from mesh_cli.doctor.finding import Finding
from mesh_cli.doctor.fleet import judge_fleet, look_at_fleet, look_at_tokens
from mesh_cli.doctor.keys import judge_keys, look_at_keys
from mesh_cli.doctor.machine import judge_open_files, most_open_files
from mesh_cli.doctor.monitoring import judge_monitoring, look_at_monitoring
from mesh_cli.doctor.packages import judge_binary, judge_packages, look_at_binary, versions
from mesh_cli.doctor.server import judge_server, look_at_server
from mesh_cli.doctor.streams import judge_clock, judge_epochs, judge_streams, look_at_stream
from mesh_cli.doctor.weaknesses import judge_weaknesses, look_at_files, look_at_secrets
from mesh_edge.settings import EdgeSettings


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where to look; ``nats_url`` may be None, as everywhere."""

    url: str
    nats_url: str | None
    monitor_url: str
    data_dir: Path


async def examine(places: Places) -> list[Finding]:
    """Look at everything; raises `ConfigurationError` where a setting cannot be read."""
    edges = load(EdgeSettings, nats_url=places.nats_url)
    settings = load(TokenSettings, nats_url=places.nats_url)
    urls, credentials = whereabouts(settings)
    inbox = inbox_of(read_credentials(credentials) if credentials else None)
    connection = Connection(
        urls, name="mesh-doctor", credentials=credentials, inbox=inbox, authority=authority_of(settings)
    )
    connection.start()
    try:
        findings = await _examine_nats(connection, settings, places)
        longest_s = await look_at_tokens(connection) if connection.state == "connected" else 0
    finally:
        await connection.close()
    doors = await look_at_doors(places.url)
    findings += judge_doors(places.url, doors)
    findings += judge_access(places.url, doors, _key_error(settings))
    findings += judge_weaknesses(
        places.url, edges, look_at_secrets(edges), look_at_files(edges, places.data_dir), longest_s
    )
    if settings.jwks_url:
        findings += judge_keys(await look_at_keys(settings.jwks_url))
    findings += judge_packages(versions()) + judge_binary(await asyncio.to_thread(look_at_binary))
    return findings + judge_open_files(most_open_files())


async def _examine_nats(connection: Connection, settings: TokenSettings, places: Places) -> list[Finding]:
    server = await look_at_server(connection)
    findings = judge_server(server)
    if server.reason:
        return findings
    monitoring = await look_at_monitoring(server, places.monitor_url, places.data_dir)
    findings += judge_monitoring(server, monitoring)
    if not server.jetstream_error:
        layout = Layout.from_setting(settings.subjects)
        wanted = wanted_streams(layout, settings)
        names = [str(config["name"]) for config in wanted]
        found = {name: await look_at_stream(connection, name, has_epoch=name in layout.streams) for name in names}
        findings += judge_streams(found, wanted, monitoring.servers, is_clustered=server.is_clustered)
        findings += judge_epochs(found, layout.streams)
        findings += judge_clock(found)
    return findings + judge_fleet(await look_at_fleet(connection), __version__)


def _key_error(settings: TokenSettings) -> str:
    try:
        Keyring.load(settings)
    except ConfigurationError as error:
        return str(error)
    return ""
