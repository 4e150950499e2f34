"""How full the streams are, as their leaders tell."""

from __future__ import annotations

import asyncio

from daena_mesh.mesh import Mesh
from daena_mesh.metrics import Metric, by
from daena_mesh.provisioning import ASKS
from mesh_api.survey import StreamInfo, info_of

_LOOK_S = 15.0
_AWAY_S = 0.5


class Fill:
    """Looks every few seconds, so that nobody who asks for metrics waits for NATS."""

    def __init__(self, mesh: Mesh) -> None:
        """Through ``mesh``."""
        self._mesh = mesh
        self._seen: dict[str, StreamInfo] = {}

    async def run(self) -> None:
        """For ever."""
        names = (*self._mesh.layout.streams, ASKS)
        while True:
            if self._mesh.connection.state == "connected":
                found = {name: await info_of(self._mesh.connection, name) for name in names}
                self._seen = {name: info for name, info in found.items() if info is not None}
                await asyncio.sleep(_LOOK_S)
            else:
                self._seen = {}
                await asyncio.sleep(_AWAY_S)

    def metrics(self) -> list[Metric]:
        """What was seen last; of a stream without a limit there is no such sample."""
        seen = self._seen.items()
        messages = {name: info.state.messages for name, info in seen}
        size = {name: info.state.bytes for name, info in seen}
        limits = {name: info.config.max_bytes for name, info in seen if info.config.max_bytes > 0}
        return [
            by("stream", "mesh_api_stream_messages", "gauge", "Messages in it.", messages),
            by("stream", "mesh_api_stream_bytes", "gauge", "Their size.", size),
            by("stream", "mesh_api_stream_limit_bytes", "gauge", "At which size the oldest ones go.", limits),
        ]
