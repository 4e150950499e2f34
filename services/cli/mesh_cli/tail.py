"""`mesh tail`: events as lines, while they happen."""

from __future__ import annotations

import sys

from rich.console import Console

from daena_mesh.feed import Gap
from daena_mesh.mesh import Mesh
from mesh_cli.rendering import event_json, event_line, gap_json, gap_line


async def tail(pattern: str, *, since: str | None, as_json: bool, nats_url: str | None) -> int:
    """Print what matches ``pattern``, until the process is interrupted.

    Raises:
        MeshError: a bad pattern or cursor, or no NATS.
    """
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    async with Mesh.connect(nats_url, name="mesh-tail") as mesh:
        async for item in mesh.subscribe(pattern, since=since):
            if as_json:
                sys.stdout.write((gap_json(item) if isinstance(item, Gap) else event_json(item)) + "\n")
                sys.stdout.flush()
            else:
                console.print(gap_line(item) if isinstance(item, Gap) else event_line(item))
    return 0
