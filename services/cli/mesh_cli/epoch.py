"""`mesh epoch`: streams that were restored begin another life, so that nobody's position of before counts."""

from __future__ import annotations

import sys

from daena_mesh.errors import ConfigurationError
from daena_mesh.mesh import Mesh
from daena_mesh.provisioning import renew_epoch
from mesh_cli.emit import WAIT_S


async def epoch(streams: list[str], *, nats_url: str | None) -> int:
    """Write a new marker into each of ``streams``, by default all that have events.

    Raises:
        MeshError: no NATS, or no such stream.
    """
    async with Mesh.connect(nats_url, name="mesh-epoch", wait_s=WAIT_S) as mesh:
        known = tuple(mesh.layout.streams)
        if unknown := [stream for stream in streams if stream not in known]:
            raise ConfigurationError(f"{unknown[0]!a} is no stream of events: there are {', '.join(known)}")
        for stream in streams or known:
            await renew_epoch(mesh.connection, stream)
            sys.stdout.write(
                f"{stream} has begun another life: who comes back with a position of before is told a gap\n"
            )
    return 0
