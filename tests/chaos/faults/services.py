"""What happens to APIs and edges: killed, restarted."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field

from tests.chaos.faults.fault import Fault, Scene

SERVICES = frozenset({"services"})


@dataclass
class KillServices(Fault):
    """`kill -9`; whoever looks after them starts them again."""

    kind: str = "edge"
    count: int = 1
    hold_s: float = 3.0
    holds: frozenset[str] = SERVICES
    before: dict[str, int | None] = field(default_factory=dict)

    async def strike(self, scene: Scene) -> None:
        """Kill some at once."""
        names = [name for name in scene.stage.cluster.children if name.startswith(self.kind)]
        self.said = scene.chance.sample(names, self.count)
        self.before = {name: scene.stage.cluster.pid(name) for name in self.said}
        for name in self.said:
            scene.stage.signal(name, signal.SIGKILL)

    async def lift(self, scene: Scene) -> None:
        """Wait for the new ones."""
        for name, pid in self.before.items():
            await scene.stage.restarted(name, pid)
        await scene.stage.cluster.ready()


@dataclass
class RollServices(Fault):
    """Restart one after the other, politely: SIGTERM, so that edges send their clients away first."""

    hold_s: float = 0.0
    holds: frozenset[str] = SERVICES

    async def strike(self, scene: Scene) -> None:
        """Restart."""
        for name in scene.stage.cluster.children:
            before = scene.stage.cluster.pid(name)
            scene.stage.signal(name, signal.SIGTERM)
            await scene.stage.restarted(name, before)
            await scene.stage.cluster.ready()
            self.said.append(name)
