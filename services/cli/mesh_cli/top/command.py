"""`mesh top`: looks every few seconds, and draws."""

from __future__ import annotations

import asyncio
import os

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from daena_mesh.errors import MeshUnavailable
from daena_mesh.mesh import Mesh
from mesh_api.survey import Survey, Surveys
from mesh_cli.emit import WAIT_S
from mesh_cli.top.screen import screen

_FILE_COLUMNS = 120
"""Of what goes into a file or a ticket, where nothing has to be cut."""


async def top(*, nats_url: str | None, every_s: float, once: bool) -> int:
    """Draw until the process is interrupted, or ``once``, after two looks, since rates need two.

    Raises:
        MeshError: no NATS.
    """
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _FILE_COLUMNS
    async with Mesh.connect(nats_url, name="mesh-top", wait_s=WAIT_S) as mesh:
        surveys = Surveys(mesh)
        if once:
            await surveys.recent()
            await asyncio.sleep(every_s)
            console.print(screen(*await surveys.recent()))
            return 0
        seen: tuple[Survey, Survey | None] | None = None
        with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
            while True:
                trouble = Text()
                try:
                    seen = await surveys.recent()
                except MeshUnavailable as error:
                    trouble = Text(f"{error}; this is how it was", "bold red")
                live.update(Group(*([screen(*seen)] if seen else []), trouble), refresh=True)
                await asyncio.sleep(every_s)
