"""Tending the streams: what goes missing under a live connection comes back, and no limit takes the marker of an epoch.

Without its marker a stream would begin another life, and every position in it count for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from daena_mesh.errors import MeshError, MeshUnavailable
from daena_mesh.log import Epoch, Log
from daena_mesh.provisioning import mark_epoch

_PAUSE_S = 1.0
_log = logging.getLogger(__name__)


async def tend(log: Log) -> None:
    """For ever: keep the markers, and whenever a leader does not answer though NATS is there, provision."""
    connection = log.connection
    while True:
        await asyncio.sleep(_PAUSE_S)
        if connection.state == "degraded" and connection.is_connected:
            await _restore(log)
        else:
            for stream, epoch in tuple(log.epochs.items()):
                with contextlib.suppress(MeshUnavailable):
                    await _keep_epoch(log, stream, epoch)


async def _restore(log: Log) -> None:
    try:
        await log.provision()
        await log.reconnected()
    except MeshUnavailable:
        return
    except MeshError as error:
        _log.error("the streams cannot be tended: %s", error)
        return
    log.connection.restore()


async def _keep_epoch(log: Log, stream: str, epoch: Epoch) -> None:
    """Write the marker again when a limit has taken it, or will before long, as the oldest message of a full stream."""
    state, config = await log.info(stream)
    is_gone = state.first_seq > epoch.seq  # a stream that was recreated would begin with 1
    is_full = config.max_bytes > 0 and 2 * state.bytes >= config.max_bytes
    if is_gone or (is_full and 2 * epoch.seq < state.first_seq + state.last_seq):
        await mark_epoch(log.connection, stream, epoch.name, 0 if is_gone else epoch.seq)
