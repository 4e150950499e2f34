"""Poison: stored messages that are no events. Counted, logged and told of at most once a minute for each subject.

Nor more than once a second in all: whoever publishes may take a subject for each, to fill logs and streams.
"""

from __future__ import annotations

import asyncio
import logging
import time

from daena_mesh.errors import MeshError
from daena_mesh.ids import derived_id
from daena_mesh.mesh import Mesh
from daena_mesh.stored import Stored
from mesh_edge.token_bucket import TokenBucket

_PAUSE_S = 60.0
_PER_S = 1.0
_MOST_SUBJECTS = 1_024
_log = logging.getLogger(__name__)


class PoisonCabinet:
    """Where an edge notes what it could not show."""

    def __init__(self, mesh: Mesh, edge_id: str) -> None:
        """Notices go out through ``mesh`` in the name of ``edge_id``."""
        self.count = 0
        self._mesh = mesh
        self._edge_id = edge_id
        self._bucket = TokenBucket()
        self._told: dict[bytes, float] = {}
        self._noted: dict[tuple[str, int], None] = {}
        self._telling: set[asyncio.Task[None]] = set()

    def note(self, message: Stored, reason: str) -> None:
        """Count one, once for all topics, and tell of it unless its subject was told of within the last minute."""
        if (position := (message.stream, message.seq)) in self._noted:
            return
        if len(self._noted) >= _MOST_SUBJECTS:
            del self._noted[next(iter(self._noted))]
        self._noted[position] = None
        self.count += 1
        now = time.monotonic()
        if now < self._told.get(message.subject, -_PAUSE_S) + _PAUSE_S or not self._bucket.take(now, _PER_S):
            return
        if len(self._told) >= _MOST_SUBJECTS:
            self._told.pop(next(iter(self._told)))
        self._told.pop(message.subject, None)
        self._told[message.subject] = now
        subject = ascii(message.subject.decode("utf-8", "replace")[:80])[1:-1]
        cursor = self._mesh.log.cursor(message.stream, message.seq)
        text = f"a message on {subject} at {cursor} is no event and was not shown: {reason[:200]}"
        _log.warning("%s", ascii(text)[1:-1])
        task = asyncio.create_task(self._tell(text, subject, cursor))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, text: str, subject: str, cursor: str) -> None:
        payload = {"text": text, "level": "warning", "subject": subject, "cursor": cursor}
        try:
            # All edges tell of the same message under the same id, so it is stored once.
            await self._mesh.publish("system.edge.notice", payload, event_id=derived_id("poison", cursor))
        except MeshError as error:
            _log.info("the notice about it could not be stored: %s", error)
