"""What a fault is: a small object with a name, struck and lifted."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.chaos.clocks import can_step_clocks
from tests.chaos.stage import Stage

if TYPE_CHECKING:
    from tests.chaos.disks import Disks
    from tests.chaos.network import Network
    from tests.chaos.spectators import Spectators


@dataclass
class Scene:
    """What a fault finds."""

    stage: Stage
    spectators: Spectators
    chance: random.Random

    @property
    def disks(self) -> Disks:
        """Those of a stage that has them; a fault says so in ``needs``."""
        assert self.stage.disks is not None
        return self.stage.disks

    @property
    def network(self) -> Network:
        """That of a stage that has one; a fault says so in ``needs``."""
        assert self.stage.network is not None
        return self.stage.network


@dataclass
class Fault:
    """It is struck, stays for ``hold_s`` seconds, and is lifted.

    Attributes:
        name: in reports, and on the command line.
        hold_s: how long it stays.
        needs: ``network``, ``disks`` or ``clocks``, where those of the run are needed.
        may_tell: that acknowledged records are missing may be told to clients, because the fault takes them.
        is_outage: no server is left while it lasts, so nobody can write; stalls count from its end.
        holds: what no other fault may touch at the same time; two that hold the same are no pair.
    """

    name: str = ""
    hold_s: float = 5.0
    needs: frozenset[str] = frozenset()
    may_tell: bool = False
    is_outage: bool = False
    holds: frozenset[str] = frozenset()
    said: list[str] = field(default_factory=list)
    """What it hit, for the report."""

    async def strike(self, scene: Scene) -> None:
        """Do the damage."""
        raise NotImplementedError

    async def lift(self, scene: Scene) -> None:
        """Undo it, where it does not pass by itself."""

    def can(self, stage: Stage) -> bool:
        """Whether this machine allows it."""
        has = {"network": stage.network, "disks": stage.disks, "clocks": can_step_clocks()}
        return all(has[need] for need in self.needs)
