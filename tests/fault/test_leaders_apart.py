"""Streams have leaders of their own: what one of them has is shown while nobody leads the other."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from daena_mesh import Mesh
from daena_mesh.errors import MeshUnavailable
from daena_mesh.layout import RECORDS, SIGNALS
from daena_mesh.settings import MeshSettings
from mesh_cli.cluster.node import Node
from tests.support.cluster import NatsCluster, kill
from tests.support.connections import leader_of, stream_api
from tests.support.deadlines import eventually, within
from tests.support.edge import RunningEdge, running_edge
from tests.support.proxy import NatsProxy
from tests.support.ws_client import Client, Ledger

pytestmark = [pytest.mark.timeout(150)]


class World(NamedTuple):
    """RECORDS has three copies, SIGNALS a single one, on a node that does not lead RECORDS."""

    mesh: Mesh
    edge: RunningEdge
    proxy: NatsProxy
    """Between the edge and its node."""
    alone: Node
    """The one that has SIGNALS."""

    async def say(self, content: str) -> None:
        await self.mesh.chat("s1").send(content, sender="u")

    async def type(self, sender: str) -> None:
        await self.mesh.publish("chat.s1.typing", {"session_id": "s1", "sender": sender})


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    async with NatsCluster(folder) as cluster:
        urls = dict(zip((node.name for node in cluster.nodes), cluster.urls, strict=True))
        settings = MeshSettings(nats_url=",".join(cluster.urls), replicas=3)
        async with Mesh(settings, name="made", wait_s=40, provisions=True) as made:
            config = (await stream_api(made.connection, f"INFO.{SIGNALS}"))["config"]
        async with Mesh(MeshSettings(nats_url=",".join(cluster.urls)), name="operator", wait_s=40) as operator:
            js = operator.connection
            assert "error" not in await stream_api(js, f"UPDATE.{SIGNALS}", {**config, "num_replicas": 1}, timeout_s=20)

            async def has_one() -> str:
                with contextlib.suppress(MeshUnavailable):
                    info = (await stream_api(js, f"INFO.{SIGNALS}", timeout_s=2)).get("cluster", {})
                    return "" if info.get("replicas") else str(info.get("leader") or "")
                return ""

            alone = await eventually(has_one, within_s=30)
            ours = next(name for name in urls if name != alone)

            async def is_led_by_us() -> bool:
                if await leader_of(js, RECORDS) == ours:
                    return True
                with contextlib.suppress(MeshUnavailable):  # it has no leader at the moment
                    await stream_api(js, f"LEADER.STEPDOWN.{RECORDS}", {"placement": {"preferred": ours}})
                return False

            await eventually(is_led_by_us, within_s=30)
        async with (
            NatsProxy.running(urlsplit(urls[ours]).port or 0) as proxy,
            Mesh(MeshSettings(nats_url=urls[ours], replicas=3), name="publisher", wait_s=40) as mesh,
            running_edge(proxy.url) as edge,
        ):
            yield World(mesh, edge, proxy, next(node for node in cluster.nodes if node.name == alone))


@asynccontextmanager
async def frozen(here: World) -> AsyncIterator[None]:
    """Nothing of SIGNALS is lost."""
    pid = here.alone.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def killed(here: World) -> AsyncIterator[None]:
    """SIGNALS is in memory: it begins another life, once somebody provisions."""
    await kill(here.alone)
    yield
    await here.alone.start()

    async def is_made() -> bool:
        with contextlib.suppress(MeshUnavailable):
            await here.mesh.log.provision()
            return True
        return False

    await eventually(is_made, within_s=40)


End = Callable[[World], AbstractAsyncContextManager[None]]


async def told(client: Client, **members: Any) -> dict[str, Any]:
    """The payload of the next `connection` that has these members."""
    async with within(40):
        while True:
            payload: dict[str, Any] = (await client.next("connection", within_s=40))["payload"]
            if members.items() <= payload.items():
                return payload


def typists(client: Client) -> list[str]:
    return [event["payload"]["sender"] for event in client.ledger.events if event["event_type"] == "chat.typing"]


@pytest.mark.promise("P-DOWN-4")
@pytest.mark.parametrize("end", [frozen, killed])
async def test_records_are_shown_while_nobody_leads_signals(tmp_path: Path, end: End) -> None:
    async with within(120), world(tmp_path) as here, here.edge.connect("/ws/chat/s1") as client:
        await here.say("1")
        await here.type("ada")
        await client.events(2)
        async with end(here):
            await told(client, status="degraded", missing=["S"])
            await here.say("2")
            assert (await client.event())["payload"]["content"] == "2"

            here.proxy.cut()
            await told(client, status="degraded", missing=["R", "S"])
            await here.say("3")
            await told(client, status="degraded", missing=["S"])
            await here.say("4")
            async with within(20):
                while client.ledger.contents() != ["1", "2", "3", "4"]:
                    await client.frame()

            # Who comes now is let in, resumes, and is told what it cannot be shown.
            known = Ledger()
            known.newest = {letter: client.ledger.newest[letter] for letter in "RS"}
            known.newest["R"] = next(e["cursor"] for e in client.ledger.events if e["payload"].get("content") == "2")
            async with here.edge.connect("/ws/chat/s1", ledger=known) as late:
                while "cursors" not in (greeting := late.hello["payload"]):
                    late.hello = await late.next("connection")
                assert (greeting["status"], greeting["missing"]) == ("degraded", ["S"])
                await here.say("5")
                async with within(20):
                    while late.ledger.contents() != ["3", "4", "5"]:
                        await late.frame()
                await client.event()
            async with within(20), here.edge.connect("/ws/chat/s1?history=2") as new:
                while new.ledger.contents() != ["4", "5"]:
                    await new.frame()

        if end is killed:
            assert (await client.next("gap", within_s=40))["payload"]["to"].startswith("S")
        await told(client, status="connected", recovered=True)
        await here.type("bob")
        async with within(20):
            while typists(client) != ["ada", "bob"]:
                await client.frame()
        assert client.ledger.contents() == ["1", "2", "3", "4", "5"]
