"""Draining: clients are sent away before an edge stops, a few at a time, so that they do not all come back at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from daena_mesh.ids import now
from mesh_edge import closing
from mesh_edge.control import control_text

if TYPE_CHECKING:
    from mesh_edge.link import Link

WAVES = 10


async def send_away(links: Sequence[Link], over_s: float) -> None:
    """Tell each to come back after a delay of its own, then close in waves.

    The delay of a client ends within the pause after its wave: it is away for no longer than that.

    Args:
        links: who is here.
        over_s: from the first wave to the end of the last delay, in seconds.
    """
    size = max(1, -(-len(links) // WAVES))
    waves = [links[begin : begin + size] for begin in range(0, len(links), size)]
    pause_s = over_s / WAVES
    for number, wave in enumerate(waves):
        for link in wave:
            tell(link, (number + random.random()) * pause_s)
    for number, wave in enumerate(waves):
        if number:
            await asyncio.sleep(pause_s)
        for link in wave:
            link.close(closing.RESTART)


def tell(link: Link, after_s: float) -> None:
    """Tell a client when to come back."""
    after_ms = round(1_000 * after_s)
    text = control_text("reconnect", payload={"after_ms": after_ms}, timestamp=now())
    link.send(link.wire.come_back(text, after_ms))
