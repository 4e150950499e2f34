"""The NATS server: reachable, new enough, with JetStream."""

from __future__ import annotations

import re
from typing import NamedTuple

from daena_mesh.connection import Connection
from daena_mesh.errors import MeshUnavailable
from daena_mesh.jetstream import ApiReply, call
from mesh_cli.doctor.finding import Finding, fine, problem

LEAST_VERSION = (2, 14, 3)
_WITHIN_S = 3.0


class Server(NamedTuple):
    """What a server says of itself; ``reason`` says why it could not be asked."""

    version: str = ""
    host: str = ""
    port: int = 0
    server_id: str = ""
    is_clustered: bool = False
    reason: str = ""
    jetstream_error: str = ""


async def look_at_server(connection: Connection) -> Server:
    """Ask the server that ``connection`` leads to."""
    try:
        await connection.wait_ready(_WITHIN_S)
        info = connection.client._server_info  # noqa: SLF001 - it has no other way
    except MeshUnavailable as error:
        return Server(reason=str(error))
    server = Server(
        version=str(info.get("version", "")),
        host=str(connection.client.connected_url.hostname) if connection.client.connected_url else "",
        port=int(info.get("port", 0)),
        server_id=str(info.get("server_id", "")),
        is_clustered="cluster" in info,
    )
    try:
        reply = await call(connection, "INFO", {}, ApiReply, timeout_s=_WITHIN_S)
    except MeshUnavailable as error:
        return server._replace(jetstream_error=str(error))
    return server._replace(jetstream_error=reply.error.description if reply.error else "")


def judge_server(server: Server) -> list[Finding]:
    """Whether it will do."""
    if server.reason:
        mend = "start NATS (`mesh up` brings its own), or say where it is with --nats-url"
        if "authorization" in server.reason.lower():
            mend = "it takes nobody without credentials: `mesh creds ops NAME`, and MESH_NATS_CREDS with what it prints"
        return [problem("nats", server.reason, mend)]
    least = ".".join(map(str, LEAST_VERSION))
    found = [fine("nats", f"answers as a {'node of a cluster' if server.is_clustered else 'lone server'}")]
    if numbers(server.version) >= LEAST_VERSION:
        found.append(fine("nats version", server.version))
    else:
        found.append(problem("nats version", f"{server.version or 'none told'}", f"the mesh needs {least} or newer"))
    if server.jetstream_error:
        mend = "add `jetstream {}` to the server's configuration, and enable it for this account"
        found.append(problem("jetstream", server.jetstream_error, mend))
    else:
        found.append(fine("jetstream", "answers"))
    return found


def numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version for comparing; one that is still to come (``2.14.3-RC.1``) counts as it."""
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    return tuple(map(int, match.groups())) if match else ()
