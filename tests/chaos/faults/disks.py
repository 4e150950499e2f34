"""Power cuts and full disks; `tests.chaos.disks` says what is simulated and what is not."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass

from tests.chaos.faults.fault import Fault, Scene
from tests.chaos.faults.nodes import NODES, nodes

DISKS = frozenset({"disks"})


@dataclass
class CutPower(Fault):
    """Nats-servers end at once, and with them what they wrote without syncing it."""

    which: str = "leader"
    hold_s: float = 2.0
    needs: frozenset[str] = DISKS
    holds: frozenset[str] = NODES

    async def strike(self, scene: Scene) -> None:
        """Cut."""
        self.said = await nodes(scene, self.which)
        for name in self.said:
            scene.stage.signal(name, signal.SIGSTOP)
        await asyncio.gather(*(asyncio.to_thread(scene.disks.photograph, name) for name in self.said))
        await asyncio.gather(*map(scene.stage.crash, self.said))
        await asyncio.gather(*(asyncio.to_thread(scene.disks.replace, name) for name in self.said))

    async def lift(self, scene: Scene) -> None:
        """Power is back."""
        await asyncio.gather(*(scene.stage.node(name).start() for name in self.said))


@dataclass
class FillDisk(Fault):
    """There is no room left for a nats-server's streams; then there is again, and it is restarted."""

    which: str = "leader"
    hold_s: float = 10.0
    needs: frozenset[str] = DISKS
    holds: frozenset[str] = NODES

    async def strike(self, scene: Scene) -> None:
        """Fill."""
        self.said = await nodes(scene, self.which)
        await asyncio.gather(*(asyncio.to_thread(scene.disks.fill, name) for name in self.said))

    async def lift(self, scene: Scene) -> None:
        """Empty. A server that found no room has given up JetStream, until it is restarted."""
        for name in self.said:
            scene.disks.empty(name)
            await scene.stage.node(name).stop()
        await asyncio.gather(*(scene.stage.node(name).start() for name in self.said))
