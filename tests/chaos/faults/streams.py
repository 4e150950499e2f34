"""What happens to the streams themselves, and to many clients at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.chaos.faults.fault import Fault, Scene

if TYPE_CHECKING:
    from tests.chaos.spectators import Spectator


@dataclass
class Storm(Fault):
    """All clients are cut off and come back at once."""

    share: float = 1.0
    hold_s: float = 1.0

    async def strike(self, scene: Scene) -> None:
        """Cut them off."""
        scene.spectators.storm(self.share, scene.chance)
        self.said = [f"{self.share:.0%} of all clients"]


@dataclass
class ReachLimits(Fault):
    """RECORDS keeps so little that clients who were away find that what they have missed is gone."""

    keeps_bytes: int = 200_000
    hold_s: float = 12.0
    may_tell: bool = True
    holds: frozenset[str] = frozenset({"streams", "nodes", "services"})
    absent: list[Spectator] = field(default_factory=list)

    async def strike(self, scene: Scene) -> None:
        """Let some go, and keep less."""
        self.absent = scene.spectators.send_away(0.05, scene.chance)
        await scene.stage.limit("RECORDS", self.keeps_bytes)
        self.said = [f"RECORDS keeps {self.keeps_bytes:,} bytes; {len(self.absent)} clients are absent"]

    async def lift(self, scene: Scene) -> None:
        """They come back, and everything is kept again."""
        scene.spectators.call_back(self.absent)
        await scene.stage.limit("RECORDS", -1)


@dataclass
class Recreate(Fault):
    """Somebody deletes RECORDS; an API makes it anew, with another life."""

    hold_s: float = 5.0
    may_tell: bool = True
    holds: frozenset[str] = frozenset({"streams", "nodes", "services"})

    async def strike(self, scene: Scene) -> None:
        """Delete."""
        await scene.stage.delete("RECORDS")
        self.said = ["RECORDS"]
