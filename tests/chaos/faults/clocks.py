"""What happens to the time of day."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from tests.chaos.clocks import step
from tests.chaos.faults.fault import Fault, Scene


@dataclass
class StepClocks(Fault):
    """The clocks of a leader, an API and an edge are put an hour forward or back, and then right again."""

    by_s: int = 3_600
    hold_s: float = 12.0
    needs: frozenset[str] = frozenset({"clocks"})

    async def strike(self, scene: Scene) -> None:
        """Step."""
        children = list(scene.stage.cluster.children)
        services = [scene.chance.choice([c for c in children if c.startswith(kind)]) for kind in ("api", "edge")]
        self.said = [await scene.stage.leader(), *services]
        self._step(scene, self.by_s)

    async def lift(self, scene: Scene) -> None:
        """Step back."""
        self._step(scene, 0)

    def _step(self, scene: Scene, seconds: int) -> None:
        for name in self.said:
            pid = scene.stage.cluster.pid(name)
            if pid is not None:  # another fault has killed it; who comes after it has the right time
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    step(pid, seconds)
