"""How late the event loop is: what everything in a process waits for, and what a call that blocks shows up in."""

from __future__ import annotations

import asyncio

from daena_mesh.histogram import Histogram

PAUSE_S = 0.5


async def watch_loop(lag: Histogram, pause_s: float = PAUSE_S) -> None:
    """For ever: note in ``lag`` how much later than it asked it is woken."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + pause_s
        await asyncio.sleep(pause_s)
        lag.note(loop.time() - due)
