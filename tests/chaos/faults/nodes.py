"""What happens to nats-servers: killed, frozen, restarted."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass

from tests.chaos.faults.fault import Fault, Scene
from tests.chaos.stage import NODE_NAMES

NODES = frozenset({"nodes"})


async def nodes(scene: Scene, which: str) -> list[str]:
    """The names of the ``leader`` of RECORDS, of a ``follower``, or of ``all``."""
    if which == "leader":
        return [await scene.stage.leader()]
    if which == "follower":
        return [await scene.stage.follower()]
    return list(NODE_NAMES)


@dataclass
class KillNodes(Fault):
    """`kill -9`; they are started again when it is lifted."""

    which: str = "leader"
    holds: frozenset[str] = NODES

    async def strike(self, scene: Scene) -> None:
        """Kill."""
        self.said = await nodes(scene, self.which)
        await asyncio.gather(*map(scene.stage.crash, self.said))

    async def lift(self, scene: Scene) -> None:
        """Start again."""
        await asyncio.gather(*(scene.stage.node(name).start() for name in self.said))


@dataclass
class FreezeNode(Fault):
    """SIGSTOP: its connections stay open, and nothing answers."""

    which: str = "leader"
    hold_s: float = 20.0
    holds: frozenset[str] = NODES

    async def strike(self, scene: Scene) -> None:
        """Stop it."""
        self.said = await nodes(scene, self.which)
        for name in self.said:
            scene.stage.signal(name, signal.SIGSTOP)

    async def lift(self, scene: Scene) -> None:
        """Let it go on."""
        for name in self.said:
            scene.stage.signal(name, signal.SIGCONT)


@dataclass
class RollNodes(Fault):
    """Restart one after the other, politely, as an upgrade does: the next one when all copies are whole again."""

    hold_s: float = 0.0
    holds: frozenset[str] = NODES

    async def strike(self, scene: Scene) -> None:
        """Restart."""
        for name in NODE_NAMES:
            node = scene.stage.node(name)
            await node.stop()
            await node.start()
            await scene.stage.all_copies()
        self.said = list(NODE_NAMES)
