"""What is known of agents: what they said last, and their heartbeats. Pure: no clock, no I/O.

Times are those of storing, by the servers' clocks, as `daena_mesh.lanes.moment` gives them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from mesh_api import bounded

MOST_AGENTS = 10_000
"""How many are known at a time; of more the ones that were silent for longest are forgotten."""

OFFLINE = "offline"
SILENT = "silent"
"""Why an agent is offline that did not say so itself."""

_MOST_CHARS = 64
_MOST_SERVED = 100
_MOST_TASKS = 1_000


class Told(NamedTuple):
    """What an agent said of its status, or was said of it."""

    status: str
    instance: str | None
    serves: tuple[str, ...]
    reason: str | None
    seq: int
    at: bytes


class Beat(NamedTuple):
    """A heartbeat, as it lies in the bucket AGENTS."""

    agent_id: str
    status: str | None
    instance: str | None
    serves: tuple[str, ...]
    started_at: str | None
    tasks: frozenset[str] | None
    """What it works on; None where it does not tell."""
    seq: int
    at: bytes


class AgentState(msgspec.Struct):
    """What is known of one agent."""

    agent_id: str
    told: Told | None = None
    beat: Beat | None = None
    activity: bytes = b""
    """As JSON; empty where there was none."""
    active_seq: int = 0
    active_at: bytes = b""

    @property
    def last_seen(self) -> bytes:
        """When it last gave a sign of itself."""
        told = self.told.at if self.told is not None and self.told.reason != SILENT else b""
        return max(self.active_at, told, self.beat.at if self.beat is not None else b"")

    @property
    def seq(self) -> int:
        """The sequence of its newest event, 0 where there is none."""
        return max(self.active_seq, self.told.seq if self.told else 0)

    @property
    def latest(self) -> Told | Beat | None:
        """What says how it is: its status or its heartbeat, whichever was stored later."""
        told, beat = self.told, self.beat
        if told is None or beat is None:
            return told or beat
        return told if told.at >= beat.at else beat

    @property
    def status(self) -> str | None:
        """``online``, ``busy`` or ``offline``; None where nothing tells."""
        return self.latest.status if self.latest is not None else None

    @property
    def is_there(self) -> bool:
        """Whether it is taken for alive."""
        return self.status not in {None, OFFLINE}

    @property
    def owes_heartbeats(self) -> bool:
        """Whether it is taken for alive and, as agents do that have an instance or a heartbeat, ought to go on so.

        Who only ever published a status by hand has no heartbeat that could be missing.
        """
        if self.told is not None and self.told.status != OFFLINE:
            return self.beat is not None or self.told.instance is not None
        return self.beat is not None and self.is_there


class AgentStates:
    """All agents, bounded."""

    def __init__(self, most: int = MOST_AGENTS) -> None:
        self._agents: dict[str, AgentState] = {}
        self._most = most

    def __len__(self) -> int:
        return len(self._agents)

    def __iter__(self) -> Iterator[AgentState]:
        return iter(tuple(self._agents.values()))

    def get(self, agent_id: str) -> AgentState | None:
        """What is known of an agent."""
        return self._agents.get(agent_id)

    def tell(self, agent_id: str, payload: dict[str, Any], seq: int, at: bytes) -> None:
        """Take in a status; the highest sequence counts."""
        agent = self._agent(agent_id)
        if agent.told is None or seq > agent.told.seq:
            agent.told = Told(
                bounded.text(payload.get("status"), _MOST_CHARS) or "unknown",
                bounded.text(payload.get("instance"), _MOST_CHARS),
                bounded.texts(payload.get("serves"), _MOST_SERVED, 2 * _MOST_CHARS),
                bounded.text(payload.get("reason"), 4 * _MOST_CHARS),
                seq,
                at,
            )

    def act(self, agent_id: str, payload: dict[str, Any], seq: int, at: bytes) -> None:
        """Take in an activity; the highest sequence counts."""
        agent = self._agent(agent_id)
        if seq > agent.active_seq:
            agent.activity, agent.active_seq, agent.active_at = bounded.raw(payload.get("activity")), seq, at

    def hear(self, beat: Beat) -> None:
        """Take in a heartbeat, the newest one there is."""
        self._agent(beat.agent_id).beat = beat

    def owing(self) -> dict[str, int]:
        """Of each agent that ought to have a heartbeat the sequence of the last one, 0 where none was seen."""
        return {agent.agent_id: agent.beat.seq if agent.beat else 0 for agent in self if agent.owes_heartbeats}

    @property
    def there(self) -> int:
        """How many are there."""
        return sum(agent.is_there for agent in self)

    def newest(self, *, limit: int, status: str | None = None, only: frozenset[str] | None = None) -> list[AgentState]:
        """At most ``limit`` agents, of these ids if ``only`` names any: who is there, then by when they were seen."""
        found = [
            agent
            for agent in self
            if (status is None or agent.status == status) and (only is None or agent.agent_id in only)
        ]
        there = sorted((agent for agent in found if agent.is_there), key=lambda agent: agent.agent_id)
        away = (agent for agent in found if not agent.is_there)
        return [*there, *sorted(away, key=lambda agent: agent.last_seen, reverse=True)][:limit]

    def _agent(self, agent_id: str) -> AgentState:
        if (agent := self._agents.get(agent_id)) is None:
            if len(self._agents) >= self._most:
                self._forget()
            agent = self._agents[agent_id] = AgentState(agent_id)
        return agent

    def _forget(self) -> None:
        """Forget the eighth that was silent for longest, those that are gone before all others."""
        longest = sorted(self, key=lambda agent: (agent.is_there, agent.last_seen))
        for agent in longest[: max(1, self._most // 8)]:
            del self._agents[agent.agent_id]


_beat = msgspec.json.Decoder(dict[str, Any]).decode


def read_beat(agent_id: str, body: bytes, seq: int, at: bytes) -> Beat | None:
    """The heartbeat in a body; None for what is no JSON object."""
    try:
        fields = _beat(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    tasks = fields.get("tasks")
    return Beat(
        agent_id,
        bounded.text(fields.get("status"), _MOST_CHARS),
        bounded.text(fields.get("instance"), _MOST_CHARS),
        bounded.texts(fields.get("serves"), _MOST_SERVED, 2 * _MOST_CHARS),
        bounded.text(fields.get("started_at"), _MOST_CHARS),
        frozenset(bounded.texts(tasks, _MOST_TASKS, _MOST_CHARS)) if isinstance(tasks, list) else None,
        seq,
        at,
    )
