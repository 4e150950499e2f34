"""What happens to the cluster: each fault a small object with a name, struck and lifted."""

from __future__ import annotations

import asyncio
import random
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.chaos.stage import NODE_NAMES, Stage

if TYPE_CHECKING:
    from tests.chaos.spectators import Spectators


@dataclass
class Scene:
    """What a fault finds."""

    stage: Stage
    spectators: Spectators
    chance: random.Random


@dataclass
class Fault:
    """It is struck, stays for ``hold_s`` seconds, and is lifted.

    Attributes:
        name: in reports, and on the command line.
        hold_s: how long it stays.
        needs: ``network`` or ``disks``, where those of the run are needed.
        may_tell: that acknowledged records are missing may be told to clients, because the fault takes them.
    """

    name: str = ""
    hold_s: float = 5.0
    needs: frozenset[str] = frozenset()
    may_tell: bool = False
    said: list[str] = field(default_factory=list)
    """What it hit, for the report."""

    async def strike(self, scene: Scene) -> None:
        """Do the damage."""
        raise NotImplementedError

    async def lift(self, scene: Scene) -> None:
        """Undo it, where it does not pass by itself."""

    def can(self, stage: Stage) -> bool:
        """Whether this machine allows it."""
        has = {"network": stage.network is not None, "disks": stage.disks is not None}
        return all(has[need] for need in self.needs)


async def _nodes(scene: Scene, which: str) -> list[str]:
    if which == "leader":
        return [await scene.stage.leader()]
    if which == "follower":
        return [await scene.stage.follower()]
    return list(NODE_NAMES)


@dataclass
class KillNodes(Fault):
    """`kill -9` of nats-servers, which are started again when it is lifted."""

    which: str = "leader"

    async def strike(self, scene: Scene) -> None:
        """Kill."""
        self.said = await _nodes(scene, self.which)
        await asyncio.gather(*map(scene.stage.crash, self.said))

    async def lift(self, scene: Scene) -> None:
        """Start again."""
        await asyncio.gather(*(scene.stage.node(name).start() for name in self.said))


@dataclass
class FreezeNode(Fault):
    """SIGSTOP of a nats-server: its connections stay open, and nothing answers."""

    which: str = "leader"
    hold_s: float = 20.0

    async def strike(self, scene: Scene) -> None:
        """Stop it."""
        self.said = await _nodes(scene, self.which)
        for name in self.said:
            scene.stage.signal(name, signal.SIGSTOP)

    async def lift(self, scene: Scene) -> None:
        """Let it go on."""
        for name in self.said:
            scene.stage.signal(name, signal.SIGCONT)


@dataclass
class KillServices(Fault):
    """`kill -9` of APIs or edges; whoever looks after them starts them again."""

    kind: str = "edge"
    count: int = 1
    hold_s: float = 3.0

    async def strike(self, scene: Scene) -> None:
        """Kill some at once."""
        names = [name for name in scene.stage.cluster.children if name.startswith(self.kind)]
        self.said = scene.chance.sample(names, self.count)
        self._before = {name: scene.stage.cluster.pid(name) for name in self.said}
        for name in self.said:
            scene.stage.signal(name, signal.SIGKILL)

    async def lift(self, scene: Scene) -> None:
        """Wait for the new ones."""
        for name, pid in self._before.items():
            await scene.stage.restarted(name, pid)
        await scene.stage.cluster.ready()


def all_faults() -> list[Fault]:
    """Every fault, in the order in which they are done one at a time."""
    return [
        KillNodes("kill a leader", which="leader"),
        KillNodes("kill a follower", which="follower"),
        KillServices("kill an edge", kind="edge"),
        KillServices("kill two edges", kind="edge", count=2),
        KillServices("kill an API", kind="api"),
        FreezeNode("freeze a leader", which="leader"),
        FreezeNode("freeze a follower", which="follower"),
        KillNodes("restart all nodes", which="all", hold_s=0.5),
    ]
