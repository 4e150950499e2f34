"""What cannot be made larger by starting more of the same, how much of it is needed, and the way past it."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from daena_mesh.heartbeat import INTERVAL_S
from mesh_cli.capacity.costs import most_events
from mesh_cli.capacity.sizing import Sizing

LONG_EVENT_US = 34.0
"""An event whose subject is none of the 4,096 that a topic has a short way for: docs/experiments/hot-path.md."""
_MOST_TRIED = 1_000_000.0


class Wall(msgspec.Struct, frozen=True, kw_only=True):
    """One of them.

    Attributes:
        name: what ends.
        needed: how much of it the plan needs.
        holds: how much there is of it.
        unit: of both.
        way: past it.
    """

    name: str
    needed: float
    holds: float
    unit: str
    way: str

    @property
    def times(self) -> float:
        """How many times over it is needed; from 1 on it stands in the way."""
        return self.needed / self.holds


def walls(sizing: Sizing) -> list[Wall]:
    """All of them, the first one first."""
    want, costs = sizing.want, sizing.costs
    long_way = replace(costs.steps(1, 1), event_us=LONG_EVENT_US)
    found = [
        Wall(
            name="writes of one SIGNALS",
            needed=want.events * (1 - want.records),
            holds=costs.signals.most_a_second,
            unit="events/s",
            way=f"{sizing.signals_streams} streams, by a hash of the session or agent",
        ),
        Wall(
            name="writes of one RECORDS",
            needed=want.events * want.records,
            holds=costs.records.most_a_second,
            unit="events/s",
            way=f"{sizing.records_streams} streams, by a hash of the session",
        ),
        Wall(
            name="a reader of /ws/events",
            needed=want.events,
            holds=most_events(long_way, costs.path, 1, _MOST_TRIED),
            unit="events/s",
            way="follow what is looked at, by the many topics of /ws",
        ),
        Wall(
            name="the log, read by who is back",
            needed=want.sockets / want.readers * sizing.reach * want.missed / want.back_s,
            holds=want.replicas * 1e6 / costs.nats_us,
            unit="events/s",
            way="the same streams, spread over nodes; mirrors beside the edges",
        ),
        Wall(
            name="an API's list of sessions",
            needed=want.events * want.records,
            holds=1e6 / LONG_EVENT_US,
            unit="events/s",
            way="APIs that each keep one part of the sessions",
        ),
        Wall(
            name="heartbeats in AGENTS",
            needed=want.agents / INTERVAL_S,
            holds=costs.signals.most_a_second,
            unit="writes/s",
            way="a bucket for each region",
        ),
        Wall(
            name="rosters in PRESENCE, all back",
            needed=want.sockets / want.back_s,
            holds=costs.signals.most_a_second,
            unit="writes/s",
            way="a bucket for each part of the sessions",
        ),
    ]
    return sorted(found, key=lambda wall: -wall.times)
