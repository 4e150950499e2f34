"""Coming back: `since`, long histories, gaps, and sockets that join while events flow."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from daena_mesh import Mesh
from daena_mesh.cursors import Cursor
from daena_mesh.embedded import NatsServer
from tests.support.deadlines import within
from tests.support.edge import RunningEdge, provisioned_mesh, running_edge
from tests.support.flood import flood
from tests.support.ws_client import Client, Ledger, position

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(shared_nats: NatsServer, mesh: Mesh) -> AsyncIterator[RunningEdge]:
    async with running_edge(shared_nats.url) as edge:
        yield edge


async def collect(client: Client, count: int) -> list[int]:
    """Read until ``count`` events came, all in all, and give what they said."""
    async with within(30):
        while len(client.ledger.events) < count:
            await client.frame()
    return [event["payload"]["content"] for event in client.ledger.events]


async def recovered(client: Client) -> None:
    """Read until the edge says that the head was reached."""
    while not (client.hello if client.hello["payload"].get("recovered") else await client.next("connection"))[
        "payload"
    ]["recovered"]:
        pass


@pytest.mark.promise("P-RESUME-3")
@pytest.mark.parametrize("named", ["R", "S", "RS", ""])
async def test_since_replays_the_streams_it_names_and_no_other(edge: RunningEdge, mesh: Mesh, named: str) -> None:
    session = f"since-{named or 'none'}"
    records = await mesh.publish(f"chat.{session}.message", {"content": 0})
    signals = await mesh.publish(f"chat.{session}.delta", {"content": 0})
    await mesh.publish(f"chat.{session}.message", {"content": 1})
    await mesh.publish(f"chat.{session}.delta", {"content": 2})
    await mesh.publish(f"session.{session}.updated", {"content": 3})
    since = ".".join(ack.cursor for ack in (records, signals) if ack.cursor[0] in named)
    missed = {"R": [1, 3], "S": [2], "RS": [1, 2, 3], "": []}[named]
    async with edge.connect(f"/ws/chat/{session}", since=since) as client:
        assert client.hello["payload"]["recovered"] is (not missed)
        await collect(client, len(missed))
        if missed:
            assert (await client.frame())["payload"]["recovered"] is True
        await mesh.publish(f"chat.{session}.message", {"content": 4})
        await mesh.publish(f"chat.{session}.delta", {"content": 5})
        assert await collect(client, len(missed) + 2) == [*missed, 4, 5]
        assert all("prev" not in event for event in client.ledger.events[: len(missed)])
        assert all("prev" in event for event in client.ledger.events[len(missed) :])


@pytest.mark.promise("P-STORE-2")
async def test_live_and_replayed_frames_are_the_same_but_for_prev(edge: RunningEdge, mesh: Mesh) -> None:
    async with edge.connect("/ws/chat/same") as live:
        since = live.ledger.since
        mesh.connection.publish("chat.same.message", b' {"content": "bare"} ')
        mesh.connection.publish("chat.same.message", b' { "event_type":"chat.message" , "payload":{} }')
        await mesh.chat("same").send("whole", sender="user")
        shown = await live.events(3)
    async with edge.connect("/ws/chat/same", since=since) as resumed:
        replayed = await resumed.events(3)
    for frame in shown:
        del frame["prev"]
    assert replayed == shown
    assert [list(frame) for frame in replayed] == [list(frame) for frame in shown]


@pytest.mark.promise("P-RESUME-1")
async def test_a_long_history_comes_in_chunks_while_more_is_said(edge: RunningEdge, mesh: Mesh) -> None:
    first = await mesh.publish("chat.long.message", {"content": -1})
    await flood(mesh, "chat.long.message", range(3_000), pad_bytes=400)
    async with edge.connect("/ws/chat/long", since=first.cursor) as client:
        more = asyncio.create_task(flood(mesh, "chat.long.message", range(3_000, 4_000), pad_bytes=400))
        assert await collect(client, 4_000) == list(range(4_000))
        await more
        assert client.hello["payload"]["recovered"] is False
        assert client.hello["payload"]["cursors"]["R"] == first.cursor


@pytest.mark.promise("P-ORDER-1")
async def test_those_who_join_at_any_moment_of_a_flow_miss_nothing(edge: RunningEdge, mesh: Mesh) -> None:
    """Twelve come and go at random, each with the cursors it has; all see every event from their first one on."""
    chance = random.Random(7)
    done = asyncio.Event()

    async def come_and_go(i: int) -> Ledger:
        ledger = Ledger()
        while True:
            path = "/ws/events" if i % 3 == 0 else "/ws/chat/flow"
            async with edge.connect(path, ledger=ledger) as client:
                for _ in range(chance.randrange(1, 400)):
                    while (await client.frame()).get("cursor") is None:
                        pass
                    if ledger.events[-1]["payload"]["content"] == 1_499:
                        return ledger
            await asyncio.sleep(chance.random() / 50)

    async def publish() -> None:
        await flood(mesh, "chat.flow.message", range(1_499), pause_s=0.02)
        await asyncio.sleep(0.3)
        await flood(mesh, "chat.flow.message", [1_499])
        done.set()

    async with within(50):
        publishing = asyncio.create_task(publish())
        ledgers = await asyncio.gather(*(come_and_go(i) for i in range(12)))
        await publishing
    for ledger in ledgers:
        contents = [event["payload"]["content"] for event in ledger.events]
        assert contents == list(range(contents[0], 1_500))


@pytest.mark.promise("P-GAP-1")
async def test_a_cursor_of_another_epoch_is_told_as_a_reset(edge: RunningEdge, mesh: Mesh) -> None:
    ack = await mesh.publish("council.epochs.update", {"content": 1})
    async with edge.connect("/ws/council", since="Rabcdef-99") as client:
        gap = client.hello
        assert gap["event_type"] == "gap"
        assert gap["payload"] == {"from": "Rabcdef-99", "to": gap["payload"]["to"], "reason": "reset"}
        assert position(gap["payload"]["to"])[0] == position(ack.cursor)[0]
        # What the log has of this epoch follows, so that nothing that exists is kept from it.
        event = await client.event()
        while event["cursor"] != ack.cursor:
            event = await client.event()


@pytest.mark.promise("P-GAP-1")
async def test_a_cursor_past_the_head_is_told_as_a_reset_and_live_goes_on(edge: RunningEdge, mesh: Mesh) -> None:
    ack = await mesh.publish("council.head.update", {"content": 1})
    beyond = str(Cursor.parse(ack.cursor)._replace(seq=10**12))
    async with edge.connect("/ws/council", since=beyond) as client:
        assert client.hello["event_type"] == "gap"
        assert client.hello["payload"]["from"] == beyond
        assert client.hello["payload"]["reason"] == "reset"
        live = await mesh.publish("council.head.update", {"content": 2})
        assert (await client.event())["cursor"] == live.cursor


async def test_a_cursor_of_an_event_of_another_topic_is_as_good_as_any(edge: RunningEdge, mesh: Mesh) -> None:
    """A client may give the cursors that it has from /ws/events, which are ahead of a quiet topic's own."""
    await mesh.publish("council.quiet.update", {"content": 1})
    async with edge.connect("/ws/council"):
        elsewhere = await mesh.publish("chat.elsewhere.message", {"content": 2})
        async with edge.connect("/ws/council", since=elsewhere.cursor) as client:
            assert client.hello["event_type"] == "connection"
            assert client.hello["payload"]["recovered"] is True
            live = await mesh.publish("council.quiet.update", {"content": 3})
            assert (await client.event())["cursor"] == live.cursor


@pytest.mark.promise("P-GAP-1")
async def test_what_the_log_no_longer_has_is_told_as_expired(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(await NatsServer.start(tmp_path_factory.mktemp("nats"), port=0))
        mesh = await stack.enter_async_context(provisioned_mesh(server.url, signals_max_bytes=1_048_576))
        edge = await stack.enter_async_context(running_edge(server.url))
        first = await mesh.publish("agent.old.activity", {"content": -1})
        last = await flood(mesh, "agent.old.activity", range(3_000), pad_bytes=1_000)
        async with edge.connect("/ws/agent/old", since=first.cursor) as client:
            gap = await client.next("gap")
            assert gap["payload"]["from"] == first.cursor
            assert gap["payload"]["reason"] == "expired"
            kept_from = position(gap["payload"]["to"])[1] + 1
            assert position(first.cursor)[1] < kept_from < last
            contents = await collect(client, last - kept_from + 1)
            assert contents == list(range(3_000 - len(contents), 3_000))
