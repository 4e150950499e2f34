"""One nats-server of a cluster, started again whenever it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from daena_mesh.embedded import NatsServer
from daena_mesh.errors import MeshError
from mesh_cli.cluster.topology import Place, Topology

_FIRST_PAUSE_S = 0.2
_MOST_PAUSE_S = 5.0
_log = logging.getLogger(__name__)


class Node:
    """A server that comes back on its ports with its data. Its peers carry on meanwhile, so it tries for ever."""

    def __init__(self, topology: Topology, place: Place) -> None:
        self.place = place
        self._topology = topology
        self._server: NatsServer | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return self.place.name

    @property
    def pid(self) -> int | None:
        """Its process; None while there is none."""
        return None if self._server is None else self._server.pid

    @property
    def monitoring_url(self) -> str:
        """Where `/varz` and the like are."""
        return f"http://{self.place.host}:{self.place.monitoring_port}"

    async def start(self) -> None:
        """Start it, and look after it from now on; raises `NatsServerError` where that cannot be."""
        self._server = await self._begin()
        self._keeper = asyncio.create_task(self._keep(self._server), name=self.name)

    async def stop(self) -> None:
        """End it politely, for as long as nobody starts it. Safe to call twice."""
        await self.forsake()
        if self._server is not None:
            await self._server.stop()
            self._server = None

    async def forsake(self) -> None:
        """Start it no more when it dies."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None

    async def gone(self) -> None:
        """Wait until a server that was killed, and was forsaken before, has ended."""
        if self._server is not None:
            await self._server.wait()
            self._server = None

    async def _begin(self) -> NatsServer:
        place = self.place
        return await NatsServer.start(
            place.data_dir,
            host=place.host,
            port=place.port,
            membership=self._topology.membership(place),
            launcher=place.launcher,
        )

    async def _keep(self, server: NatsServer) -> None:
        while True:
            status = await server.wait()
            self._server = None
            _log.error("%s (process %d) ended with status %d; starting it again", self.name, server.pid, status)
            pause_s = _FIRST_PAUSE_S
            while self._server is None:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _MOST_PAUSE_S)
                try:
                    self._server = server = await self._begin()
                except MeshError as error:
                    _log.error("%s: %s", self.name, error)
