"""The nats-server of `mesh up`, started again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Self

from daena_mesh.connection import Connection
from daena_mesh.credentials import inbox_of, read_credentials
from daena_mesh.embedded import NatsServer
from daena_mesh.errors import MeshError
from daena_mesh.layout import SIGNALS
from daena_mesh.permissions import UP
from daena_mesh.provisioning import renew_epoch
from daena_mesh.vault import Vault
from mesh_cli.stopping import Stop

MOST_FAILED_STARTS = 7
"""Over six seconds: whoever kills a guardian leaves the lock on the data to its watcher for five."""
_FIRST_PAUSE_S = 0.1
_READY_S = 5.0
_log = logging.getLogger(__name__)


class KeptNats:
    """A nats-server that comes back on the same port with its data; when it cannot, the mesh stops."""

    def __init__(self, server: NatsServer, data_dir: Path, stop: Stop, vault: Vault | None) -> None:
        self._server = server
        self._data_dir = data_dir
        self._vault = vault
        self._stop = stop
        self._keeper = asyncio.create_task(self._keep(), name="nats-server")

    @classmethod
    async def start(cls, data_dir: Path, port: int, stop: Stop, vault: Vault | None = None) -> KeptNats:
        """Start it, open or for those with credentials of ``vault``; raises `MeshError` when that fails."""
        return cls(await _start(data_dir, port, vault), data_dir, stop, vault)

    @property
    def url(self) -> str:
        """Where clients find it, now and after it was started again."""
        return self._server.url

    @property
    def log_path(self) -> Path:
        """Its log."""
        return self._server.log_path

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_raised: object) -> None:
        self._keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._keeper
        await self._server.stop()

    async def _keep(self) -> None:
        while True:
            status = await self._server.wait()
            _log.error("nats-server (process %d) ended with status %d; starting it again", self._server.pid, status)
            try:
                self._server = await self._start_again()
            except MeshError as error:
                self._stop.give_up(error)
                return

    async def _start_again(self) -> NatsServer:
        pause_s = _FIRST_PAUSE_S
        for _ in range(MOST_FAILED_STARTS - 1):
            await asyncio.sleep(pause_s)
            pause_s *= 2
            try:
                return await _start(self._data_dir, self._server.port, self._vault)
            except MeshError as error:
                _log.error("%s", error)
        return await _start(self._data_dir, self._server.port, self._vault)


async def _start(data_dir: Path, port: int, vault: Vault | None) -> NatsServer:
    """Start a server. After one that was cut off the signals begin another life first.

    A lone server writes signals lazily. One that was killed, or lost its power, may have lost the last ones and will
    give their sequences to others, so nobody's position counts any more. That has to be told before anybody writes
    there again: on a port that nobody knows. Raises `MeshError`.
    """
    trust = vault.trust() if vault is not None else None  # read anew: somebody may have been revoked
    if NatsServer.was_cut_off(data_dir):
        credentials = str(vault.ensure(UP)) if vault is not None else None
        async with await NatsServer.start(data_dir, port=0, trust=trust) as server:
            inbox = inbox_of(read_credentials(credentials) if credentials else None)
            connection = Connection([server.url], name="mesh-up", credentials=credentials, inbox=inbox)
            connection.start()
            try:
                await connection.wait_ready(_READY_S)
                await renew_epoch(connection, SIGNALS)
            finally:
                await connection.close()
    return await NatsServer.start(data_dir, port=port, trust=trust)
