"""What a mesh of some size needs: edges, memory, streams, NATS, bandwidth."""

from __future__ import annotations

from functools import cached_property
from math import ceil

import msgspec

from mesh_cli.bench.flood import MOST_DELAY_US
from mesh_cli.capacity.costs import Costs
from mesh_cli.capacity.edge import FRAME_BYTES, MESSAGE_BYTES, Load, Run, simulate

_KEEPALIVE_S = 15.0
_EVENT_BYTES = 300
"""As a stream keeps it: body, id, subject."""
_PACKET_BYTES = 66
"""Of the heads around a small frame on a wire: Ethernet, IP, TCP with time stamps."""
_SECONDS = 1.0


class Want(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a mesh is to carry.

    Attributes:
        sockets: how many are connected.
        events: stored events a second.
        readers: sockets that are shown one event.
        records: share of the events that are RECORDS, synced to disk; the rest are SIGNALS.
        agents: with a heartbeat.
        replicas: copies of each stream.
        leaves: leaf nodes that edges connect to; 0: to the nodes themselves.
        node_cores: of one NATS node.
        busy: share of a core, or of a stream's rate, that is planned with.
        back_s: within what time all sockets are to be back after all edges fell.
        missed: events that each of them missed.
    """

    sockets: int
    events: float
    readers: float
    records: float = 0.1
    agents: int = 10_000
    replicas: int = 3
    leaves: int = 0
    node_cores: int = 8
    busy: float = 0.6
    back_s: float = 20.0
    missed: int = 20


def spread(places: float, members: float) -> float:
    """Say on how many of ``places`` some of ``members`` are, who choose at random."""
    missing: float = (1 - 1 / places) ** members
    return places * (1 - missing)


class Sizing:
    """A plan for what is wanted, at some costs."""

    def __init__(self, want: Want, costs: Costs) -> None:
        self.want = want
        self.costs = costs

    # -- edges ----------------------------------------------------------------------------------------------

    @cached_property
    def edges_for_delivery(self) -> int:
        """The fewest that carry the deliveries in time, with room to spare; each is a process on a core."""
        most = 1
        while not self._carry(most):
            most *= 2
        least = most // 2
        while most - least > max(1, most // 100):
            middle = (least + most) // 2
            least, most = (least, middle) if self._carry(middle) else (middle, most)
        return most

    @cached_property
    def edges_for_return(self) -> int:
        """The fewest that let everybody in again in time, and give them what they missed."""
        each_us = self.costs.connect_us + self.want.missed * self.costs.resume_us
        return ceil(self.want.sockets * each_us / 1e6 / self.want.back_s)

    @cached_property
    def edges(self) -> int:
        """How many it takes."""
        return max(self.edges_for_delivery, self.edges_for_return)

    @cached_property
    def run(self) -> Run:
        """One of them at work."""
        return self._run(self.edges)

    def keepalive(self, edges: int) -> float:
        """Give the share of a core that pings and pongs take: as much as a write, each."""
        return 2 * self.want.sockets / edges / _KEEPALIVE_S * self.costs.write_us / 1e6

    @property
    def reach(self) -> float:
        """How many edges an event goes to."""
        return spread(self.edges, self.want.readers)

    @property
    def memory_gb(self) -> float:
        """Private memory of all edges for sockets and topics, GB."""
        topics = self.want.sockets / self.want.readers * self.reach
        return (self.want.sockets * self.costs.socket_kb + topics * self.costs.topic_kb) * 1_024 / 1e9

    @property
    def sent_mbit(self) -> float:
        """What one edge sends to its sockets, Mbit/s."""
        return self.want.events * self.want.readers / self.edges * (FRAME_BYTES + _PACKET_BYTES) * 8 / 1e6

    def _carry(self, edges: int) -> bool:
        if self._least_busy(edges) > self.want.busy:
            return False  # to simulate it would take long
        run = self._run(edges)
        return run.busy + self.keepalive(edges) <= self.want.busy and run.delay_ms(0.99) * 1e3 <= MOST_DELAY_US

    def _least_busy(self, edges: int) -> float:
        events = self.want.events * spread(edges, self.want.readers) / edges
        return events * self.costs.steps(0, 1).event_us / 1e6 + self.keepalive(edges)

    def _run(self, edges: int) -> Run:
        want, reach = self.want, spread(edges, self.want.readers)
        topics = max(1, round(want.sockets / want.readers * reach / edges))
        load = Load(
            sockets=topics * want.readers / reach, topics=topics, rate=want.events * reach / edges, seconds=_SECONDS
        )
        return simulate(self.costs.steps(want.sockets / edges, topics), self.costs.path, load)

    # -- NATS -----------------------------------------------------------------------------------------------

    @property
    def records_streams(self) -> int:
        """How many RECORDS it takes, parted by session."""
        return max(1, ceil(self.want.events * self.want.records / self.costs.records.most_a_second / self.want.busy))

    @property
    def signals_streams(self) -> int:
        """And SIGNALS."""
        rate = self.want.events * (1 - self.want.records)
        return max(1, ceil(rate / self.costs.signals.most_a_second / self.want.busy))

    @property
    def handed_on(self) -> float:
        """How many messages a second the nodes hand to edges, or to leaf nodes in their place."""
        return self.want.events * (spread(self.want.leaves, self.want.readers) if self.want.leaves else self.reach)

    @property
    def nats_cores(self) -> float:
        """What storing all copies and handing on takes."""
        stored_us = self.want.events * self.want.replicas * self.costs.append_us
        return (stored_us + self.handed_on * self.costs.nats_us) / 1e6

    @property
    def nats_nodes(self) -> int:
        """How many nodes have so many cores."""
        return max(self.want.replicas, ceil(self.nats_cores / self.want.node_cores / self.want.busy))

    @property
    def leaf_cores(self) -> float:
        """What leaf nodes take to hand on to edges, all together."""
        return self.want.events * self.reach * self.costs.nats_us / 1e6 if self.want.leaves else 0.0

    @property
    def routes_mbit(self) -> float:
        """What the nodes send to each other: copies, and what edges at other nodes follow; Mbit/s."""
        copies = self.want.events * (self.want.replicas - 1) * _EVENT_BYTES
        others = 1 - 1 / self.nats_nodes
        followers = min(self.handed_on / self.want.events, self.want.readers)
        return (copies + self.want.events * spread(self.nats_nodes, followers) * others * MESSAGE_BYTES) * 8 / 1e6

    @property
    def handed_on_mbit(self) -> float:
        """What they send to edges, or to leaf nodes, Mbit/s."""
        return self.handed_on * MESSAGE_BYTES * 8 / 1e6

    @property
    def records_gb_a_day(self) -> float:
        """By how much RECORDS grows, one copy."""
        return self.want.events * self.want.records * 86_400 * _EVENT_BYTES / 1e9
