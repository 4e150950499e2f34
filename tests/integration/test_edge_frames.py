"""What WebSocket clients of an edge see: real nats-server, real uvicorn, real client."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from daena_mesh import Mesh, emitters
from daena_mesh.embedded import NatsServer
from daena_mesh.errors import InvalidId
from daena_mesh.log import Ack
from mesh_edge import closing
from mesh_edge.topic_name import topic_of
from tests.support.edge import RunningEdge, running_edge
from tests.support.ws_client import Client, RawClient, masked

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(shared_nats: NatsServer, mesh: Mesh) -> AsyncIterator[RunningEdge]:
    async with running_edge(shared_nats.url, edge_id="under-test") as edge:
        yield edge


# -- the frames of each route -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "connection_id", "subject", "event_type"),
    [
        ("/ws/events", "events", "brain.main.status", "brain.status"),
        ("/ws/chat/frames", "chat_frames", "chat.frames.message", "chat.message"),
        ("/ws/chat/frames", "chat_frames", "session.frames.updated", "session.updated"),
        ("/ws/chat/frames", "chat_frames", "chat.frames.delta", "chat.delta"),
        ("/ws/council", "council", "council.c1.update", "council.update"),
        ("/ws/agent/scout", "agent_scout", "agent.scout.activity", "agent.activity"),
        ("/ws/agent/scout", "agent_scout", "task.t1.update.scout", "task.update"),
    ],
)
async def test_each_route_greets_and_then_shows_its_events(
    edge: RunningEdge, mesh: Mesh, path: str, *, connection_id: str, subject: str, event_type: str
) -> None:
    async with edge.connect(path) as client:
        hello = client.hello
        assert list(hello) == ["event_type", "payload", "timestamp"]
        assert hello["event_type"] == "connection"
        letters = {"council": {"R"}, "agent_scout": {"S"}}.get(connection_id, {"R", "S"})
        positions = {letter: str(mesh.log.position(stream, 0))[:-1] for letter, stream in _STREAMS.items()}
        assert hello["payload"] == {
            "status": "connected",
            "connection_id": connection_id,
            "socket_id": hello["payload"]["socket_id"],
            "edge": "under-test",
            "recovered": True,
            "cursors": hello["payload"]["cursors"],
        }
        assert {letter: cursor[: len(positions[letter])] for letter, cursor in hello["payload"]["cursors"].items()} == {
            letter: positions[letter] for letter in letters
        }
        ack = await mesh.publish(subject, {"said": 'héllo " \\ \n', "n": [1, 2.5, None]})
        event = await client.event()
        assert list(event)[:4] == ["topic", "cursor", "prev", "subject"]
        assert event.pop("timestamp").endswith("Z")
        assert event == {
            "topic": connection_id,
            "cursor": ack.cursor,
            "prev": hello["payload"]["cursors"][ack.cursor[0]],
            "subject": subject,
            "event_type": event_type,
            "payload": {"said": 'héllo " \\ \n', "n": [1, 2.5, None]},
            "id": ack.id,
            "source": "test",
        }


_STREAMS = {"R": "RECORDS", "S": "SIGNALS"}


@pytest.mark.promise("P-NATIVE-1")
async def test_a_bare_payload_from_any_nats_client_is_an_event(edge: RunningEdge, mesh: Mesh) -> None:
    async with edge.connect("/ws/agent/bare") as client, edge.connect("/ws/events") as all_of_it:
        mesh.connection.publish("agent.bare.activity", b'{"activity":{"state":"searching"}}')
        for watcher in (client, all_of_it):
            event = await watcher.event()
            assert event["event_type"] == "agent.activity"
            assert event["payload"] == {"activity": {"state": "searching"}}
            assert event["id"] == event["cursor"]


# -- who is shown what ------------------------------------------------------------------------------------------------

ROUTES = ("/ws/events", "/ws/chat/mine", "/ws/chat/other", "/ws/council", "/ws/agent/a1")
DELIVERED = {
    "emit_chat_message": {"/ws/events", "/ws/chat/mine"},
    "emit_session_created": {"/ws/events", "/ws/chat/mine"},
    "emit_session_updated": {"/ws/events", "/ws/chat/mine"},
    "emit_agent_activity": {"/ws/events", "/ws/agent/a1"},
    "emit_brain_status": {"/ws/events"},
    "emit_task_update": {"/ws/events"},
    "emit_council_update": {"/ws/events", "/ws/council"},
}


@pytest.mark.promise("P-FANOUT-1")
async def test_each_emitter_reaches_exactly_the_routes_that_follow_it(
    edge: RunningEdge, mesh: Mesh, shared_nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESH_NATS_URL", shared_nats.url)
    emit: dict[str, Callable[[], Awaitable[Ack]]] = {
        "emit_session_created": lambda: emitters.emit_session_created("mine", "Mine"),
        "emit_session_updated": lambda: emitters.emit_session_updated("mine", {"title": "Still mine"}),
        "emit_chat_message": lambda: emitters.emit_chat_message("mine", "user", "Hello!"),
        "emit_agent_activity": lambda: emitters.emit_agent_activity("a1", {"state": "searching"}),
        "emit_brain_status": lambda: emitters.emit_brain_status("thinking"),
        "emit_task_update": lambda: emitters.emit_task_update("t1", "running", 0.5),
        "emit_council_update": lambda: emitters.emit_council_update("c1", {"vote": "yes"}),
    }
    clients = [edge.connect(route) for route in ROUTES]
    try:
        for client in clients:
            await client.__aenter__()
        seen = {}
        for name, call in emit.items():
            ack = await call()
            await clients[0].event()
            shown = {ROUTES[0]}
            for route, client in zip(ROUTES[1:], clients[1:], strict=True):
                frames = [frame for frame in await client.pong() if "cursor" in frame]
                assert [frame["cursor"] for frame in frames] in ([], [ack.cursor])
                shown |= {route} if frames else set()
            seen[name] = shown
        assert seen == DELIVERED
    finally:
        for client in clients:
            await client.ws.close()
        await emitters.close_default_mesh()


# -- what clients say -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timestamp", ["1700000000000", "12.50", '"now"', "null", "[1,{}]", "1e400", "-0"])
async def test_a_ping_is_answered_with_the_very_same_timestamp(edge: RunningEdge, timestamp: str) -> None:
    async with edge.connect("/ws/events") as client:
        await client.ws.send(f'{{"type":"ping","timestamp": {timestamp} }}')
        while "pong" not in (text := str(await client.ws.recv())):
            pass
        assert text == f'{{"event_type":"pong","timestamp":{timestamp}}}'


async def test_the_protocols_own_ping_is_answered(edge: RunningEdge) -> None:
    async with edge.connect("/ws/council") as client:
        async with asyncio.timeout(5):
            await (await client.ws.ping(b"are you there"))


@pytest.mark.promise("P-TALK-1")
async def test_what_is_broken_or_unknown_gets_an_error_and_the_socket_lives(edge: RunningEdge, mesh: Mesh) -> None:
    async with edge.connect("/ws/chat/errors") as client:
        for text, code in (("huh", "bad_message"), ("[]", "bad_message"), ('{"type":"dance"}', "unknown_type")):
            await client.ws.send(text)
            error = await client.next("error")
            assert set(error) == {"event_type", "payload", "timestamp"}
            assert error["payload"]["code"] == code
            assert error["payload"]["message"]
        await client.ws.send('{"type":"pong"}')
        assert await client.pong() == []
        await mesh.chat("errors").send("still here", sender="user")
        assert (await client.event())["payload"]["content"] == "still here"


@pytest.mark.promise("P-TALK-1")
async def test_ten_broken_messages_in_a_minute_close(edge: RunningEdge) -> None:
    async with edge.connect("/ws/council") as client:
        for _ in range(9):
            await client.ws.send("{")
            await client.next("error")
        assert await client.pong() == []
        await client.ws.send("{")
        assert (await client.next("error"))["payload"]["code"] == "bad_message"
        assert await client.closing() == (closing.BAD_REQUEST.code, closing.BAD_REQUEST.reason)


@pytest.mark.promise("P-FRAME-1")
@pytest.mark.parametrize(
    ("what", "sent", "code"),
    [
        ("binary", masked(0x82, b"x"), closing.UNSUPPORTED_DATA.code),
        ("not masked", b"\x81\x01x", closing.PROTOCOL_ERROR.code),
        ("not UTF-8", masked(0x81, b"\xff"), closing.INVALID_DATA.code),
        ("too big", b"\x81\xff" + (65_537).to_bytes(8, "big") + bytes(4), closing.TOO_BIG.code),
        ("its own close", masked(0x88, b"\x0f\xa0bye"), 4000),
    ],
)
async def test_what_a_client_may_not_send_closes_with_the_code_of_rfc_6455(
    edge: RunningEdge, what: str, sent: bytes, code: int
) -> None:
    raw = await RawClient.connect(edge.port, "/ws/council")
    try:
        await raw.send(sent)
        frames: list[tuple[int, bytes]] = []
        while not any(opcode == 8 for opcode, _ in frames):
            frames += await raw.read()
        assert int.from_bytes(frames[-1][1][:2], "big") == code
        await raw.send(masked(0x88, code.to_bytes(2, "big")))
        await raw.read_to_end()  # once the close is answered, the edge ends the connection
    finally:
        raw.close()


# -- who is not let in ------------------------------------------------------------------------------------------------

HOSTILE = {
    "star": "*",
    "all": "%3E",
    "dot": "a.b",
    "empty": "",
    "long": "x" * 5_000,
    "nul": "a%00b",
    "crlf": "a%0D%0APUB%20live.x%200",
    "line feed last": "a%0A",
    "slash": "a/b",
    "space": "a%20b",
    "other script": "%D1%81",
    "not utf-8": "%FF",
}


@pytest.mark.promise("P-ID-1")
@pytest.mark.parametrize("kind", ["chat", "agent"])
@pytest.mark.parametrize("ident", HOSTILE.values(), ids=HOSTILE)
async def test_an_id_that_is_none_is_refused_before_the_upgrade_and_nats_unharmed(
    edge: RunningEdge, mesh: Mesh, kind: str, ident: str
) -> None:
    connects = edge.edge.mesh.connection.connects
    topics = [topic.name for topic in edge.edge.topics()]
    status, body = await edge.refusal(f"/ws/{kind}/{ident}")
    assert status == 400
    assert body["status"] == 400
    assert f"{'session' if kind == 'chat' else 'agent'}_id" in body["detail"]
    assert "safe_id()" in body["detail"]
    assert len(body["detail"]) < 300
    assert edge.edge.mesh.connection.connects == connects
    assert [topic.name for topic in edge.edge.topics()] == topics
    async with edge.connect("/ws/council") as client:
        ack = await mesh.publish("council.c1.update", {"still": "here"})
        assert (await client.event())["cursor"] == ack.cursor


async def test_a_since_that_is_none_is_refused_before_the_upgrade(edge: RunningEdge) -> None:
    for since in ("zz", "R-1", "Rabc-", "Rabc--1", "Rabc-1.", "Rabc-01", ".".join(["Rabc-1"] * 9), "Rabc-1%00"):
        status, body = await edge.refusal(f"/ws/events?since={since}")
        assert status == 400
        assert "curs" in body["detail"] or "since" in body["detail"]


@pytest.mark.promise("P-ORIGIN-1")
async def test_a_foreign_origin_is_refused_before_the_upgrade(edge: RunningEdge) -> None:
    for origin in ("http://evil.example", "null", "http://127.0.0.1.evil.example"):
        status, body = await edge.refusal("/ws/events", origin=origin)
        assert status == 403
        assert "MESH_ORIGINS" in body["detail"]
    async with edge.connect("/ws/events", origin="http://localhost:3000"):
        pass


async def test_the_subprotocol_of_the_mesh_is_accepted_and_no_other(edge: RunningEdge) -> None:
    async with edge.connect("/ws/council", subprotocols=["mesh.v1", "bearer.x"]) as client:
        assert client.ws.subprotocol == "mesh.v1"
    async with edge.connect("/ws/council") as client:
        assert client.ws.subprotocol is None


async def test_health_tells_whether_new_sockets_are_welcome(edge: RunningEdge) -> None:
    def get(path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{edge.port}{path}", timeout=5) as answer:
            body: dict[str, Any] = json.loads(answer.read())
            return body

    assert await asyncio.to_thread(get, "/healthz") == {"status": "ok", "edge": "under-test"}
    assert await asyncio.to_thread(get, "/readyz") == {"status": "connected", "edge": "under-test"}


# -- poison -----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("P-POISON-1")
async def test_poison_disconnects_nobody_is_counted_and_named(edge: RunningEdge, mesh: Mesh) -> None:
    counted = edge.edge.poison.count
    async with edge.connect("/ws/agent/ill") as client, edge.connect("/ws/events") as all_of_it:
        before = await mesh.publish("agent.ill.activity", {"n": 1})
        mesh.connection.publish("agent.ill.activity", b"plain text")
        mesh.connection.publish("agent.ill.activity", b"[1]")
        mesh.connection.publish("agent.ill.activity", b"\xff\xfe")
        after = await mesh.publish("agent.ill.activity", {"n": 2})
        events = await client.events(2)
        assert [event["payload"]["n"] for event in events] == [1, 2]
        assert events[1]["prev"] == before.cursor
        assert events[1]["cursor"] == after.cursor
        notice = await all_of_it.next("system.notice")
        assert notice["subject"] == "system.edge.notice"
        assert notice["payload"]["level"] == "warning"
        assert notice["payload"]["subject"] == "agent.ill.activity"
        assert "agent.ill.activity" in notice["payload"]["text"]
        assert "cursor" not in notice
        assert "prev" not in notice
        told = [frame for frame in await all_of_it.pong() if frame["event_type"] == "system.notice"]
        assert told == []  # at most once a minute for each subject
        # The chain of the topic of all events held too: the client looked at every frame.
        assert await client.pong() == []
    assert edge.edge.poison.count - counted == 3


@pytest.mark.promise("P-CHAIN-1")
async def test_the_chain_holds_across_notices(edge: RunningEdge, mesh: Mesh) -> None:
    async with edge.connect("/ws/chat/noted") as client, edge.connect("/ws/events") as all_of_it:
        await mesh.chat("noted").send("1", sender="user")
        await edge.edge.manager.broadcast_to_group("chat_noted", {"text": "psst"})
        await edge.edge.manager.broadcast_to_all({"text": "all"})
        await mesh.chat("noted").send("2", sender="user")
        for watcher in (client, all_of_it):
            while watcher.ledger.contents() != ["1", "2"]:
                await watcher.frame()


async def test_a_topic_name_is_what_the_mesh_allows() -> None:
    for name in ("", "chat_", "chat_*", "agent_>", "everything", "chat", "agent_a.b"):
        with pytest.raises(InvalidId):
            topic_of(name)


async def test_many_clients_get_the_same_bytes(edge: RunningEdge, mesh: Mesh) -> None:
    clients: list[Client] = []
    try:
        for _ in range(20):
            client = edge.connect("/ws/chat/crowd")
            await client.__aenter__()
            clients.append(client)
        await mesh.chat("crowd").send("to all", sender="user")
        texts = {await client.ws.recv() for client in clients}
        assert len(texts) == 1
    finally:
        for client in clients:
            await client.ws.close()
