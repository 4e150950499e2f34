"""Ids that a stream holds for a message which it never stores: whoever is refused for it tells the API.

Where a cluster chooses leaders, a nats-server can go on to take an id for one that is being stored, though what was to
be stored under it is lost: it lets go of such ids with each change, but only as far back as to the first one that was
stored (``processStreamLeaderChange`` of nats-server 2.15). While it leads, it refuses whatever is written again under
that id (10158), for as long as the stream remembers ids, which are ten minutes. Another leader does not hold it: so the
API has this one step down (`mesh_api.step_down`).
"""

from __future__ import annotations

import contextlib
import time

import msgspec

from daena_mesh.connection import Connection
from daena_mesh.errors import MeshUnavailable

IN_PROCESS = 10158
"""JetStream's code for an id under which something is being stored at the moment."""
REPORTS = "mesh.held."
"""Under it, by the name of the stream, the API is told."""
_PATIENCE_S = 2.0
"""Storing takes milliseconds; where nodes die it takes as long as choosing a leader, and then nobody answers."""
_EVERY_S = 1.0


class Report(msgspec.Struct, frozen=True):
    """What is not stored."""

    subject: str
    msg_id: str


class Write:
    """One write, for as long as it is tried again."""

    __slots__ = ("_connection", "_due", "_report", "_stream")

    def __init__(self, connection: Connection, stream: str, subject: str, msg_id: str) -> None:
        """Of ``subject``, to ``stream``, under ``msg_id``."""
        self._connection = connection
        self._stream = stream
        self._report = Report(subject, msg_id)
        self._due: float | None = None

    def refused(self, code: int) -> None:
        """The leader refused it with an error of JetStream, or 0 for anything else, also that nobody answered."""
        if code != IN_PROCESS:
            self._due = None
            return
        now = time.monotonic()
        if self._due is None:
            self._due = now + _PATIENCE_S
        if now >= self._due:
            self._due = now + _EVERY_S
            with contextlib.suppress(MeshUnavailable):
                self._connection.publish(f"{REPORTS}{self._stream}", msgspec.json.encode(self._report))
