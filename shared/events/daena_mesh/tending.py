"""Tending the streams: what goes missing under a live connection is provisioned again."""

from __future__ import annotations

import asyncio
import logging

from daena_mesh.errors import MeshError, MeshUnavailable
from daena_mesh.log import Log
from daena_mesh.provisioning import provision

_PAUSE_S = 1.0
_log = logging.getLogger(__name__)


async def tend(log: Log) -> None:
    """For ever: whenever NATS is there and a stream's leader does not answer, see that the stream exists."""
    connection = log.connection
    while True:
        await asyncio.sleep(_PAUSE_S)
        if connection.state != "degraded" or not connection.is_connected:
            continue
        try:
            await provision(connection, log.layout, log.settings)
            await log.reconnected()
        except MeshUnavailable:
            continue
        except MeshError as error:
            _log.error("the streams cannot be tended: %s", error)
            continue
        connection.restore()
