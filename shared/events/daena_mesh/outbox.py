"""Signals that wait for NATS to come back: bounded, the oldest dropped and counted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from daena_mesh.errors import MeshError, MeshUnavailable
from daena_mesh.log import Ack

MOST_SIGNALS = 1_000
_PAUSE_S = 0.2
_LAST_CALL_S = 1.0
_log = logging.getLogger(__name__)


class Outbox:
    """Keeps signals in order and stores them as soon as that works."""

    def __init__(self, store: Callable[[str, bytes, str], Awaitable[Ack]], most: int = MOST_SIGNALS) -> None:
        """``store`` takes subject, body and id, and raises `MeshUnavailable` while NATS is away."""
        self.dropped = 0
        self._store = store
        self._most = most
        self._waiting: deque[tuple[str, bytes, str]] = deque()
        self._sending: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def keep(self, subject: str, body: bytes, event_id: str) -> Ack:
        """Keep a signal for later; its acknowledgement has no cursor yet."""
        if len(self._waiting) >= self._most:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append((subject, body, event_id))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send(), name="outbox of signals")
        return Ack(event_id, "", 0, duplicate=False)

    async def close(self) -> None:
        """Give what waits one last chance; what is left then is dropped and counted."""
        if self._sending is not None and not self._sending.done():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._sending, _LAST_CALL_S)
        self.dropped += len(self._waiting)
        self._waiting.clear()

    async def _send(self) -> None:
        while self._waiting:
            signal = self._waiting[0]
            try:
                await self._store(*signal)
            except MeshUnavailable:
                await asyncio.sleep(_PAUSE_S)
                continue
            except MeshError as error:
                _log.warning("a signal on %s is given up: %s", signal[0], error)
                self.dropped += 1
            if self._waiting and self._waiting[0] is signal:
                self._waiting.popleft()
            else:
                self.dropped -= 1  # it had to make room while it was on its way, and arrived all the same
