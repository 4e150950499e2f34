"""Many topics on one WebSocket, the newest events first of all, and only the types that one wants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from tests.support.edge import RunningEdge, running_edge
from tests.support.flood import flood
from tests.support.ws_client import Client, TopicLedgers

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(shared_nats: NatsServer, mesh: Mesh) -> AsyncIterator[RunningEdge]:
    async with running_edge(shared_nats.url, topics_per_socket=3) as edge:
        yield edge


async def say(client: Client, **message: Any) -> None:
    await client.ws.send(msgspec.json.encode(message).decode())


async def subscribe(client: Client, topic: str, **more: Any) -> dict[str, Any]:
    """Subscribe, and give what the edge says of it."""
    assert isinstance(client.ledger, TopicLedgers)
    client.ledger.begin(topic)
    await say(client, type="subscribe", topic=topic, **more)
    while (frame := await client.next("connection"))["payload"]["connection_id"] != topic:
        pass
    return frame


@pytest.mark.promise("P-MANY-1")
async def test_topics_come_and_go_on_one_socket(edge: RunningEdge, mesh: Mesh) -> None:
    async with edge.connect("/ws", ledger=TopicLedgers()) as client:
        assert client.hello["payload"]["status"] == "connected"
        await subscribe(client, "chat_many1")
        await subscribe(client, "chat_many2")
        await mesh.publish("chat.many1.message", {"content": 1})
        await mesh.publish("chat.many2.message", {"content": 2})
        found = {event["topic"]: event["payload"]["content"] for event in await client.events(2)}
        assert found == {"chat_many1": 1, "chat_many2": 2}
        await say(client, type="unsubscribe", topic="chat_many1")
        assert (await client.next("connection"))["payload"]["status"] == "disconnected"
        await mesh.publish("chat.many1.message", {"content": 3})
        await mesh.publish("chat.many2.message", {"content": 4})
        assert (await client.event())["payload"]["content"] == 4
        assert edge.edge.manager.count("chat_many1") == 0


@pytest.mark.promise("P-MANY-1")
async def test_each_topic_resumes_from_a_position_of_its_own(edge: RunningEdge, mesh: Mesh) -> None:
    acks = [await mesh.publish("chat.own1.message", {"content": i}) for i in range(3)]
    other = await mesh.publish("chat.own2.message", {"content": 10})
    await mesh.publish("chat.own2.message", {"content": 11})
    async with edge.connect("/ws", ledger=TopicLedgers()) as client:
        assert (await subscribe(client, "chat_own1", since=acks[0].cursor))["payload"]["recovered"] is False
        assert [event["payload"]["content"] for event in await client.events(2)] == [1, 2]
        await subscribe(client, "chat_own2", since=other.cursor)
        assert (await client.event())["payload"]["content"] == 11
        # Once more, from elsewhere: it begins anew.
        await subscribe(client, "chat_own1", since=acks[1].cursor)
        assert (await client.event())["payload"]["content"] == 2


@pytest.mark.promise("P-MANY-1")
async def test_a_slow_socket_gets_all_its_topics_in_order(shared_nats: NatsServer, mesh: Mesh) -> None:
    async with (
        running_edge(shared_nats.url, behind_bytes=2_048, send_buffer_bytes=4_096) as edge,
        edge.connect("/ws", ledger=TopicLedgers()) as client,
    ):
        for topic in ("chat_deep1", "chat_deep2", "events"):
            await subscribe(client, topic)
        for begin in range(0, 1_000, 250):
            for session in ("deep1", "deep2"):
                await flood(mesh, f"chat.{session}.message", range(begin, begin + 250), pad_bytes=500)
        got: dict[tuple[str, str], list[int]] = {}
        for event in await client.events(4_000, within_s=60):
            got.setdefault((event["topic"], event["subject"]), []).append(event["payload"]["content"])
        assert list(got.values()) == [list(range(1_000))] * 4


@pytest.mark.parametrize(
    ("message", "code", "says"),
    [
        ({"type": "subscribe"}, "bad_message", "topic"),
        ({"type": "subscribe", "topic": 3}, "bad_message", "topic"),
        ({"type": "subscribe", "topic": "chat_a b"}, "bad_topic", "session_id"),
        ({"type": "subscribe", "topic": "nothing"}, "bad_topic", "connection_id"),
        ({"type": "subscribe", "topic": "chat_a", "since": "x"}, "bad_topic", "cursor"),
        ({"type": "subscribe", "topic": "chat_a", "history": -1}, "bad_topic", "history"),
        ({"type": "subscribe", "topic": "chat_a", "types": ["council.update"]}, "bad_topic", "council.update"),
        ({"type": "unsubscribe", "topic": "chat_never"}, "bad_topic", "chat_never"),
        ({"type": "unsubscribe"}, "bad_message", "topic"),
    ],
)
async def test_what_makes_no_sense_is_told_and_the_socket_lives(
    edge: RunningEdge, message: dict[str, Any], code: str, says: str
) -> None:
    async with edge.connect("/ws", ledger=TopicLedgers()) as client:
        await say(client, id="c7", **message)
        error = await client.next("error")
        assert error["payload"]["code"] == code
        assert says in error["payload"]["message"]
        await subscribe(client, "chat_after")


async def test_a_socket_follows_so_many_topics_and_no_more(edge: RunningEdge) -> None:
    async with edge.connect("/ws", ledger=TopicLedgers()) as client:
        for topic in ("chat_1", "chat_2", "chat_3", "chat_3"):
            await subscribe(client, topic)
        await say(client, type="subscribe", topic="chat_4")
        assert (await client.next("error"))["payload"]["code"] == "too_many_topics"
        await say(client, type="unsubscribe", topic="chat_1")
        await client.next("connection")
        await subscribe(client, "chat_4")


async def test_a_socket_of_one_topic_subscribes_to_no_other(edge: RunningEdge) -> None:
    async with edge.connect("/ws/chat/one") as client:
        await say(client, type="subscribe", topic="chat_two")
        assert (await client.next("error"))["payload"]["code"] == "unknown_type"


@pytest.mark.promise("P-HISTORY-1")
async def test_history_begins_with_the_newest_events_of_all_streams(edge: RunningEdge, mesh: Mesh) -> None:
    for i in range(40):
        await mesh.publish(f"chat.past.{'message' if i % 3 else 'delta'}", {"content": i})
    async with edge.connect("/ws/chat/past?history=10") as client:
        assert client.hello["payload"]["recovered"] is False
        assert [event["payload"]["content"] for event in await client.events(10)] == list(range(30, 40))
        assert (await client.next("connection"))["payload"]["recovered"] is True
        await mesh.publish("chat.past.message", {"content": 40})
        assert (await client.event())["payload"]["content"] == 40
    async with edge.connect("/ws/chat/past?history=1000") as client:
        assert [event["payload"]["content"] for event in await client.events(41)] == list(range(41))
    async with edge.connect("/ws/chat/new?history=5") as client:
        assert client.hello["payload"]["recovered"] is True
    async with edge.connect("/ws", ledger=TopicLedgers()) as client:
        await subscribe(client, "chat_past", history=3)
        assert [event["payload"]["content"] for event in await client.events(3)] == [38, 39, 40]


@pytest.mark.promise("P-HISTORY-1")
async def test_who_says_where_it_stands_gets_no_history(edge: RunningEdge, mesh: Mesh) -> None:
    acks = [await mesh.publish("chat.stands.message", {"content": i}) for i in range(5)]
    async with edge.connect("/ws/chat/stands?history=4", since=acks[3].cursor) as client:
        assert (await client.event())["payload"]["content"] == 4


@pytest.mark.promise("P-TYPES-1")
async def test_types_narrow_what_comes_live_and_from_the_log(edge: RunningEdge, mesh: Mesh) -> None:
    first = await mesh.publish("chat.kinds.message", {"content": 0})
    for i in range(1, 7):
        await mesh.publish(f"chat.kinds.{'message' if i % 2 else 'delta'}", {"content": i})
    path = "/ws/chat/kinds?types=chat.message,session.updated"
    async with edge.connect(path, since=first.cursor) as client, edge.connect(path) as fresh:
        assert [event["payload"]["content"] for event in await client.events(3)] == [1, 3, 5]
        await mesh.publish("chat.kinds.delta", {"content": 7})
        await mesh.publish("session.kinds.updated", {"content": 8})
        assert (await client.event())["payload"]["content"] == 8
        assert (await fresh.event())["payload"]["content"] == 8
        patterns = {topic.key.patterns for topic in edge.edge.topics() if topic.name == "chat_kinds"}
        assert all("chat.kinds.delta" not in own and "chat.kinds.>" not in own for own in patterns)
