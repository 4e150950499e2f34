"""Edges that are killed, clients that are cut off, and a NATS that goes away under them."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from daena_mesh.provisioning import provision
from tests.support.deadlines import eventually, within
from tests.support.edge import EdgeProcess, RunningEdge, edge_process, provisioned_mesh, running_edge
from tests.support.flood import flood
from tests.support.ws_client import Client, Ledger, position


def contents(ledger: Ledger) -> list[Any]:
    return [event["payload"]["content"] for event in ledger.events]


async def follow(edges: list[RunningEdge | EdgeProcess], path: str, ledger: Ledger, count: int) -> int:
    """Read ``count`` events, coming back with what one has wherever one is let in; returns how often."""
    came = 0
    while len(ledger.events) < count:
        edge = edges[came % len(edges)]
        came += 1
        try:
            async with edge.connect(path, ledger=ledger) as client:
                while len(ledger.events) < count:
                    await client.frame()
        except (ConnectionClosed, OSError):
            continue
    return came


async def test_2000_messages_while_the_connection_is_cut_ten_times(nats_server: NatsServer) -> None:
    chance = random.Random(10)
    cuts = sorted(chance.sample(range(50, 1_950), 10))
    ledger = Ledger()
    async with provisioned_mesh(nats_server.url) as mesh, running_edge(nats_server.url) as edge, within(40):
        client: Client = edge.connect("/ws/chat/s1", ledger=ledger)
        await client.__aenter__()
        publishing = asyncio.create_task(flood(mesh, "chat.s1.message", range(2_000), pause_s=0.05))
        for cut in cuts:
            while len(ledger.events) < cut:
                await client.frame()
            client.ws.transport.abort()
            client = edge.connect("/ws/chat/s1", ledger=ledger)
            await client.__aenter__()
        while len(ledger.events) < 2_000:
            await client.frame()
        await publishing
        await client.ws.close()
    assert contents(ledger) == list(range(2_000))


@pytest.mark.promise("P-RESUME-2")
async def test_when_an_edge_is_killed_its_clients_go_on_at_the_other(nats_server: NatsServer) -> None:
    async with (
        provisioned_mesh(nats_server.url) as mesh,
        edge_process(nats_server.url) as first,
        edge_process(nats_server.url) as second,
        within(40),
    ):
        ledgers = [Ledger() for _ in range(6)]
        following = [
            asyncio.create_task(
                follow([first, second] if i < 4 else [second], ("/ws/chat/s1", "/ws/events")[i % 2], ledger, 1_500)
            )
            for i, ledger in enumerate(ledgers)
        ]
        await eventually(lambda: all(ledger.newest for ledger in ledgers))
        publishing = asyncio.create_task(flood(mesh, "chat.s1.message", range(1_500), pause_s=0.05))
        await eventually(lambda: all(len(ledger.events) > 500 for ledger in ledgers))
        await first.kill()
        came = await asyncio.gather(*following)
        await publishing
        assert min(came[:4]) >= 2
        assert came[4:] == [1, 1]
        for ledger in ledgers:
            assert contents(ledger) == list(range(1_500))


@pytest.mark.promise("P-DOWN-2", "P-DOWN-3")
async def test_nats_is_killed_and_comes_back(tmp_path: Path) -> None:
    server = await NatsServer.start(tmp_path, port=0)
    port = server.port
    try:
        async with (
            within(40),
            provisioned_mesh(server.url) as mesh,
            running_edge(server.url) as edge,
            edge.connect("/ws/chat/s1") as client,
            edge.connect("/ws/agent/a1") as other,
        ):
            await mesh.chat("s1").send("before", sender="user")
            await client.event()
            server.kill()
            await server.wait()
            for watcher in (client, other):
                told = await watcher.next("connection", within_s=3)
                assert told["payload"]["status"] == "degraded"
                assert told["payload"]["recovered"] is False
            async with edge.connect("/ws/chat/s1") as newcomer:
                assert newcomer.hello["payload"]["status"] == "degraded"
                assert newcomer.hello["payload"]["recovered"] is False
                assert await newcomer.pong() == []
                server = await NatsServer.start(tmp_path, port=port)
                async with Mesh.connect(server.url) as swift:  # it did not wait for long, and so is first
                    await swift.chat("s1").send("meanwhile", sender="user")
                for watcher in (client, other, newcomer):
                    told = await watcher.next("connection", within_s=5)
                    assert told["payload"]["status"] == "connected"
                    if watcher is newcomer and not told["payload"]["recovered"]:  # it is given what was said meanwhile
                        told = await watcher.next("connection", within_s=5)
                    assert told["payload"]["recovered"] is True
                assert [event["payload"]["content"] for event in newcomer.ledger.events] == ["meanwhile"]
                await mesh.publish("agent.a1.activity", {"activity": "after"})
                async with within(5):
                    while (await other.event())["payload"]["activity"] != "after":
                        pass
                await mesh.chat("s1").send("after", sender="user")
                while client.ledger.contents() != ["before", "meanwhile", "after"]:
                    await client.frame()
                while "after" not in newcomer.ledger.contents():
                    await newcomer.frame()
    finally:
        await server.stop()


async def test_a_lost_stream_of_signals_is_told_as_a_reset_and_live_goes_on(nats_server: NatsServer) -> None:
    async with provisioned_mesh(nats_server.url) as mesh, running_edge(nats_server.url) as edge, within(30):
        async with edge.connect("/ws/agent/a1") as client, edge.connect("/ws/events") as all_of_it:
            await flood(mesh, "agent.a1.activity", range(10))
            for watcher in (client, all_of_it):
                await watcher.events(10)
            newest = client.ledger.newest["S"]
            reply = await mesh.connection.request("$JS.API.STREAM.DELETE.SIGNALS", b"", timeout_s=2)
            assert msgspec.json.decode(reply.body)["success"]
            await provision(mesh.connection, mesh.layout, mesh.settings)
            for watcher in (client, all_of_it):
                gap = await watcher.next("gap")
                assert gap["payload"]["reason"] == "reset"
                assert gap["payload"]["from"] == newest
                assert position(gap["payload"]["to"])[0] != position(newest)[0]
            await flood(mesh, "agent.a1.activity", range(10, 13))
            for watcher in (client, all_of_it):
                await watcher.events(3)
                assert contents(watcher.ledger) == list(range(13))
        async with edge.connect("/ws/agent/a1", since=newest) as late:
            assert late.hello["event_type"] == "gap"
            assert late.hello["payload"]["reason"] == "reset"
            await late.events(3)
            assert contents(late.ledger) == [10, 11, 12]
        assert edge.edge.poison.count == 0


async def test_an_edge_that_starts_before_nats_tells_so_and_then_serves(tmp_path: Path) -> None:
    first = await NatsServer.start(tmp_path, port=0)
    async with provisioned_mesh(first.url):
        pass
    await first.stop()
    async with running_edge(first.url, is_ready=False) as edge, within(30), edge.connect("/ws/events") as client:
        assert client.hello["payload"]["status"] == "degraded"
        async with await NatsServer.start(tmp_path, port=first.port) as server:
            assert (await client.next("connection"))["payload"]["status"] == "connected"
            async with provisioned_mesh(server.url) as mesh:
                await flood(mesh, "council.c1.update", [1])
                assert (await client.event())["payload"]["content"] == 1


@pytest.mark.promise("P-STORE-1", "P-ORDER-1")
async def test_nats_killed_while_much_is_published(tmp_path: Path) -> None:
    """What was acknowledged is shown, once and in order, to who stayed and to who came back in the middle of it."""
    count = 600
    server = await NatsServer.start(tmp_path, port=0)
    port = server.port
    try:
        async with provisioned_mesh(server.url) as mesh, running_edge(server.url) as edge, within(50):
            stayed, late = Ledger(), Ledger()
            acknowledged = [0]

            async def publish() -> None:
                for number in range(count):
                    await mesh.publish("chat.s1.message", {"content": number}, event_id=f"m{number}")
                    acknowledged[0] += 1

            async with edge.connect("/ws/chat/s1", ledger=stayed) as client:
                start = stayed.since
                publishing = asyncio.create_task(publish())
                for i in range(3):

                    def is_due(due: int = 150 * (i + 1)) -> bool:
                        return acknowledged[0] >= due or publishing.done()

                    await eventually(is_due)
                    server.kill()
                    await server.wait()
                    server = await NatsServer.start(tmp_path, port=port)
                async with edge.connect("/ws/chat/s1", ledger=late, since=start) as other:
                    for watcher in (client, other):
                        while len(watcher.ledger.events) < count:
                            await watcher.frame()
                await publishing
            assert contents(stayed) == contents(late) == list(range(count))
    finally:
        await server.stop()
