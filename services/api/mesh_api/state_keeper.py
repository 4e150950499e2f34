"""Keeps the state of agents, tasks and brains: from the log, and from the heartbeats in the bucket AGENTS."""

from __future__ import annotations

import asyncio
import logging

from daena_mesh.errors import InvalidId, MeshUnavailable
from daena_mesh.feed import event_of
from daena_mesh.heartbeat import BUCKET
from daena_mesh.lanes import moment
from daena_mesh.layout import SIGNALS
from daena_mesh.mesh import Mesh
from daena_mesh.stored import Stored
from daena_mesh.subjects import check_id
from mesh_api.agent_states import Beat, read_beat
from mesh_api.keeping import Keeper
from mesh_api.state import PATTERNS, State
from mesh_api.streams import last_of_each

_STREAM = f"KV_{BUCKET}"
_KEYS = f"$KV.{BUCKET}."
_log = logging.getLogger(__name__)


class StateKeeper(Keeper):
    """The state that one API process knows, with its I/O."""

    what = "state of agents and tasks"
    patterns = PATTERNS

    def __init__(self, mesh: Mesh) -> None:
        super().__init__(mesh)
        self.state = State()
        self._heard = 0
        """The sequence up to which heartbeats were read."""
        self._connects = 0

    async def known(self) -> State:
        """The state, with all in it that a lone server had stored when this was asked; raises `MeshUnavailable`."""
        if not self.is_complete:
            raise MeshUnavailable("the state of agents and tasks is not complete yet")
        await self._mesh.connection.flush()
        return self.state

    async def fill(self) -> None:
        """Read what was said last of everything, and all heartbeats; raises `MeshUnavailable`."""
        self.state = State()
        most_bytes = self._mesh.settings.max_body_bytes
        async for messages in last_of_each(self._mesh.connection, SIGNALS, PATTERNS, most_bytes=most_bytes):
            for message in messages:
                self.apply(message)
            await asyncio.sleep(0)  # others are served meanwhile
        self._heard = 0
        await self.hear()

    def filled(self) -> None:
        """Say how much there is."""
        _log.info("%d agents, %d tasks", len(self.state.agents), len(self.state.tasks))

    def emptied(self) -> None:
        """What was known is of another life of the stream; `fill` begins anew."""

    def apply(self, message: Stored) -> bool:
        """Take in an event."""
        cursor = self._mesh.log.cursor(SIGNALS, message.seq)
        if (event := event_of(message, cursor, self._mesh.settings.max_body_bytes)) is None:
            self.malformed += 1
            return False
        self.state.apply(event, message.seq, moment(message.time))
        return True

    # -- heartbeats ---------------------------------------------------------------------------------------------

    async def hear(self, *, again: bool = False) -> None:
        """Read the heartbeats that came since, or ``again`` all; raises `MeshUnavailable`."""
        connects = self._mesh.connection.connects
        if again or connects != self._connects:  # after a reconnect the bucket may be another one
            self._heard, self._connects = 0, connects
        while True:
            batch = await self._mesh.log.batch(_STREAM, f"{_KEYS}*", self._heard)
            for message in batch.messages:
                self._heard = message.seq
                if (beat := _beat_of(message)) is not None:
                    self.state.agents.hear(beat)
            if not batch.pending or not batch.messages:
                return

    async def last_beat(self, agent_id: str) -> Beat | None:
        """The heartbeat that an agent has now, from the leader; raises `MeshUnavailable`."""
        message = await self._mesh.log.last(_STREAM, _KEYS + check_id(agent_id))
        return None if message is None else _beat_of(message)


def _beat_of(message: Stored) -> Beat | None:
    try:
        agent_id = check_id(message.subject.decode("ascii", "replace").removeprefix(_KEYS))
    except InvalidId:
        return None
    return read_beat(agent_id, message.body, message.seq, moment(message.time))
