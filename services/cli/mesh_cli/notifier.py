"""Telling systemd how a service is: started, alive, stopping. Without systemd nobody is told.

The beat comes out of the event loop, so a process that is frozen, or whose loop is blocked, falls silent, and systemd
starts another. Protocol: sd_notify(3).
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import MutableMapping

_log = logging.getLogger(__name__)


class Notifier:
    """Of one process; what its children inherit names nobody, for they are not whom systemd watches."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        """Takes ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` out of ``environment``."""
        path = environment.pop("NOTIFY_SOCKET", "")
        microseconds = environment.pop("WATCHDOG_USEC", "")
        is_ours = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        self._beat_s = int(microseconds) / 2_000_000 if is_ours and microseconds.isdecimal() else 0.0

    def started(self) -> None:
        """Say so, and beat from now on, twice as often as it has to be."""
        self._tell("READY=1")
        if self._address and self._beat_s:
            self._beat()

    def stopping(self) -> None:
        """Say so; it goes on beating until the loop ends."""
        self._tell("STOPPING=1")

    def _beat(self) -> None:
        self._tell("WATCHDOG=1")
        asyncio.get_running_loop().call_later(self._beat_s, self._beat)

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as outgoing:
                outgoing.setblocking(False)
                outgoing.sendto(state.encode(), self._address)
        except OSError as error:
            _log.warning("systemd cannot be told %s: %s", state, error)
