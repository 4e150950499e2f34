"""Who does not reach whom any more: black holes, without an error."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.chaos.faults.fault import Fault, Scene
from tests.chaos.faults.nodes import NODES, nodes
from tests.chaos.faults.services import SERVICES
from tests.chaos.stage import NODE_NAMES

NETWORK = frozenset({"network"})


@dataclass
class CutNode(Fault):
    """Nobody reaches a nats-server, neither its peers nor its clients."""

    which: str = "leader"
    hold_s: float = 20.0
    needs: frozenset[str] = NETWORK
    holds: frozenset[str] = NODES

    async def strike(self, scene: Scene) -> None:
        """Cut."""
        self.said = await nodes(scene, self.which)
        scene.network.cut(self.said[0])

    async def lift(self, scene: Scene) -> None:
        """Join."""
        scene.network.join(self.said[0])


@dataclass
class CutFromPeers(Fault):
    """A nats-server is cut from its peers, and not from its clients: who is connected to it sees nothing go wrong."""

    which: str = "leader"
    hold_s: float = 20.0
    needs: frozenset[str] = NETWORK
    holds: frozenset[str] = NODES

    async def strike(self, scene: Scene) -> None:
        """Cut."""
        self.said = await nodes(scene, self.which)
        for peer in self._peers():
            scene.network.cut_between(self.said[0], peer)

    async def lift(self, scene: Scene) -> None:
        """Join."""
        for peer in self._peers():
            scene.network.join_between(self.said[0], peer)

    def _peers(self) -> list[str]:
        return [name for name in NODE_NAMES if name != self.said[0]]


@dataclass
class CutFromNode(Fault):
    """An edge does not reach the nats-server it is connected to any more, and does reach the others."""

    hold_s: float = 20.0
    needs: frozenset[str] = NETWORK
    holds: frozenset[str] = SERVICES
    pairs: list[tuple[str, str]] = field(default_factory=list)

    async def strike(self, scene: Scene) -> None:
        """Cut."""
        edge = scene.chance.choice([name for name in scene.stage.cluster.children if name.startswith("edge")])
        node = await scene.stage.node_of(edge)
        self.said = [edge, f"from {node}"]
        self.pairs = [(edge, node)]
        scene.network.cut_between(edge, node)

    async def lift(self, scene: Scene) -> None:
        """Join."""
        for edge, node in self.pairs:
            scene.network.join_between(edge, node)


@dataclass
class CutService(Fault):
    """An API reaches no nats-server any more; people still reach the API."""

    kind: str = "api"
    hold_s: float = 15.0
    needs: frozenset[str] = NETWORK
    holds: frozenset[str] = SERVICES

    async def strike(self, scene: Scene) -> None:
        """Cut."""
        self.said = [scene.chance.choice([n for n in scene.stage.cluster.children if n.startswith(self.kind)])]
        scene.network.cut(self.said[0])

    async def lift(self, scene: Scene) -> None:
        """Join."""
        scene.network.join(self.said[0])
