"""Every fault, in the order in which they are done one at a time."""

from __future__ import annotations

import random

from tests.chaos.faults.clocks import StepClocks
from tests.chaos.faults.disks import CutPower, FillDisk
from tests.chaos.faults.fault import Fault
from tests.chaos.faults.network import CutFromNode, CutFromPeers, CutNode, CutService
from tests.chaos.faults.nodes import FreezeNode, KillNodes, RollNodes
from tests.chaos.faults.services import KillServices, RollServices
from tests.chaos.faults.streams import ReachLimits, Recreate, Storm


def all_faults() -> list[Fault]:
    """New ones; those that take records away come last."""
    return [
        KillNodes("kill a leader", which="leader"),
        KillNodes("kill a follower", which="follower"),
        KillServices("kill an edge", kind="edge"),
        KillServices("kill two edges", kind="edge", count=2),
        KillServices("kill an API", kind="api"),
        KillServices("kill both APIs", kind="api", count=2),
        FreezeNode("freeze a leader", which="leader"),
        FreezeNode("freeze a follower", which="follower"),
        CutNode("cut off a leader", which="leader"),
        CutNode("cut off a follower", which="follower"),
        CutFromPeers("cut a leader from its peers", which="leader"),
        CutFromPeers("cut a follower from its peers", which="follower"),
        CutFromNode("cut an edge from its node"),
        CutService("cut an API from NATS"),
        KillNodes("kill all nodes", which="all", hold_s=0.5, is_outage=True),
        CutPower("cut the power of a leader", which="leader"),
        CutPower("cut the power of all nodes", which="all", is_outage=True),
        FillDisk("fill the disk of a leader", which="leader"),
        FillDisk("fill the disk of a follower", which="follower"),
        RollNodes("restart all nodes in turn"),
        RollServices("restart all APIs and edges in turn"),
        StepClocks("put clocks forward", by_s=3_600),
        StepClocks("put clocks back", by_s=-3_600),
        Storm("cut off all clients at once"),
        ReachLimits("reach the limits of RECORDS"),
        Recreate("delete RECORDS"),
    ]


def random_pairs(count: int, chance: random.Random) -> list[list[Fault]]:
    """Faults that happen at the same time, and that can."""
    pairs: list[list[Fault]] = []
    while len(pairs) < count:
        one, other = chance.sample(all_faults(), 2)
        if not (one.may_tell or other.may_tell or one.holds & other.holds):
            pairs.append([one, other])
    return pairs
