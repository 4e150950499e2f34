"""Tells operators what the embedded nats-server refuses: by a notice in the mesh, and by a metric."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from daena_mesh.errors import ConfigurationError, MeshError
from daena_mesh.mesh import Mesh
from daena_mesh.vault import Vault
from mesh_cli.denials import Denial, Denials, Tail, denial_in

SUBJECT = "system.security.notice"

_EVERY_S = 1.0
_MOST_TOLD = 8
_log = logging.getLogger(__name__)


class Watchman:
    """Reads the log of the nats-server, for a block."""

    def __init__(self, log_path: Path, vault: Vault) -> None:
        """The names of users are those in ``vault``."""
        self.denials = Denials()
        self._vault = vault
        self._tail = Tail(log_path)

    @contextlib.asynccontextmanager
    async def watching(self, mesh: Mesh) -> AsyncIterator[None]:
        """Tell of them through ``mesh``, while the block lasts."""
        task = asyncio.create_task(self._watch(mesh), name="watchman")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._tail.close()

    async def _watch(self, mesh: Mesh) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                self.denials.note(await asyncio.to_thread(self._read))
                for denial, count in self.denials.take(_MOST_TOLD):
                    await mesh.publish(SUBJECT, notice(denial, count))
            except (MeshError, OSError) as error:
                _log.info("what NATS refused could not be told: %s", error)

    def _read(self) -> list[Denial]:
        lines = [line for line in self._tail.read() if "[ERR]" in line]
        names = self._names() if lines else {}
        return [denial for line in lines if (denial := denial_in(line, names)) is not None]

    def _names(self) -> dict[str, str]:
        try:
            users = self._vault.users()
        except ConfigurationError:
            return {}
        return {key: name for name, entry in users.items() for key in (*entry.keys, *entry.revoked)}


def notice(denial: Denial, count: int) -> dict[str, object]:
    """The payload of the notice: for people, and for programs."""
    often = "" if count == 1 else f", {count} times"
    what = {
        "publish": f"to publish on {denial.subject}",
        "subscribe": f"to hear {denial.subject}",
        "connect": "to connect",
    }[denial.kind]
    text = f"NATS refused {denial.user} {what}{often}"
    return {"text": text, "level": "warning", **denial._asdict(), "count": count}
