"""Credentials that expire, and are made anew in their file while a process runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from daena_mesh.credentials import read_credentials
from daena_mesh.errors import ConfigurationError
from daena_mesh.nats_claims import User

_LOOK_S = 2.0


class Renewal:
    """Compares the credentials that a connection was made with to those in their file.

    NATS ends a connection whose credentials expire. Where others lie there before that, it is better to come back with
    them at once than to be ended and to look for them then.
    """

    def __init__(self, path: str) -> None:
        """``path`` is that of the ``.creds`` file."""
        self._path = path
        self._used: User | None = None
        self._seen: tuple[int, int, int] | None = None

    def begin(self) -> None:
        """A connection is about to be made with what is in the file now."""
        self._seen = self._mark()
        try:
            self._used = read_credentials(self._path)
        except ConfigurationError:
            self._used = None

    async def due(self) -> None:
        """Return when the file holds credentials that count longer than those in use; never where these do not end."""
        if self._used is None or not self._used.expires_at:
            await asyncio.Event().wait()
        while True:
            await asyncio.sleep(_LOOK_S)
            if await asyncio.to_thread(self._is_longer):
                return

    def _is_longer(self) -> bool:
        mark = self._mark()
        if mark in (None, self._seen) or self._used is None:
            return False
        self._seen = mark
        try:
            found = read_credentials(self._path)
        except ConfigurationError:
            return False  # half written, or not meant for anybody
        return found.name == self._used.name and (not found.expires_at or found.expires_at > self._used.expires_at)

    def _mark(self) -> tuple[int, int, int] | None:
        try:
            status = Path(self._path).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size
