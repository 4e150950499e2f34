"""How many questions wait in the queue of asks, as its consumers tell."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from daena_mesh.errors import MeshUnavailable
from daena_mesh.mesh import Mesh
from daena_mesh.metrics import Metric, by
from daena_mesh.provisioning import ASKS
from mesh_api.consumers import listed

LOOK_S = 5.0
_AWAY_S = 0.5
_REFUSED_S = 60.0
"""Credentials of before may not allow it: each attempt leaves a line in the log of the server."""
_log = logging.getLogger(__name__)


class Queue:
    """Looks at it every few seconds, so that nobody who asks for metrics waits for NATS."""

    def __init__(self, mesh: Mesh) -> None:
        """Through ``mesh``."""
        self._mesh = mesh
        self._counts: dict[str, int] = {}

    async def run(self) -> None:
        """For ever."""
        while True:
            pause_s = LOOK_S
            if self._mesh.connection.state == "connected":
                try:
                    self._counts = await self._look()
                except (MeshUnavailable, msgspec.DecodeError) as error:
                    self._counts = {}
                    pause_s = _REFUSED_S if self._mesh.connection.is_connected else LOOK_S
                    _log.info("how much waits in %s is not known: %s", ASKS, error)
            else:
                self._counts, pause_s = {}, _AWAY_S
            await asyncio.sleep(pause_s)

    def metric(self) -> Metric:
        """What was seen last; no samples where nothing was."""
        about = "Questions in the queue: not taken yet, being worked on, and those of them that were given out again."
        return by("state", "mesh_api_asks", "gauge", about, self._counts)

    async def _look(self) -> dict[str, int]:
        found = await listed(self._mesh.connection)
        return {
            "waiting": sum(consumer.num_pending for consumer in found),
            "at_work": sum(consumer.num_ack_pending for consumer in found),
            "redelivered": sum(consumer.num_redelivered for consumer in found),
        }
