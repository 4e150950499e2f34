"""Rounds: something is looked after again and again, for as long as its process lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from daena_mesh.connection import Connection
from daena_mesh.errors import MeshUnavailable


async def make_rounds(
    look: Callable[[], Awaitable[None]],
    *,
    every_s: float,
    connection: Connection,
    blind: Callable[[], None],
    doing: str,
    log: logging.Logger,
) -> None:
    """Look every ``every_s`` seconds while ``connection`` is well, until cancelled.

    Where nothing could be seen, ``blind`` is called: what was seen before may have changed unseen. ``doing`` says to
    ``log`` what waits or has failed, such as ``sweeping presence``. No failure ends the rounds, or what they are for
    would go undone in silence.
    """
    while True:
        await asyncio.sleep(every_s)
        try:
            if connection.state == "connected":
                await look()
                continue
        except MeshUnavailable as error:
            log.info("%s waits: %s", doing, error)
        except Exception:
            log.exception("%s failed", doing)
        blind()
