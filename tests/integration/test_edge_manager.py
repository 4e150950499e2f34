"""The manager's groups over two edges, interest, clean-up, draining, and the router in somebody else's application."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import urllib.request
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from daena_mesh.errors import InvalidEvent, InvalidId, NotCovered
from mesh_edge import closing, edge_of, websocket_router
from tests.support.deadlines import eventually, within
from tests.support.edge import RunningEdge, edge_process, running_edge
from tests.support.flood import flood
from tests.support.ws_client import Client, RawClient, handshake

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(shared_nats: NatsServer, mesh: Mesh) -> AsyncIterator[RunningEdge]:
    async with running_edge(shared_nats.url, edge_id="one", linger_s=0.2) as edge:
        yield edge


# -- groups -----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("P-GROUP-1")
async def test_broadcasts_reach_groups_and_all_on_every_edge(shared_nats: NatsServer, edge: RunningEdge) -> None:
    async with running_edge(shared_nats.url, edge_id="two") as two:
        paths = ("/ws/chat/g1", "/ws/chat/g2", "/ws/council", "/ws/agent/g1", "/ws/events")
        clients: dict[tuple[str, str], Client] = {}
        try:
            for name, served in (("one", edge), ("two", two)):
                for path in paths:
                    clients[name, path] = served.connect(path)
                    await clients[name, path].__aenter__()

            async def reached() -> set[tuple[str, str]]:
                return {
                    key
                    for key, client in clients.items()
                    if [frame["event_type"] for frame in await client.pong()] == ["system.notice"]
                }

            for group, path in (("chat_g1", "/ws/chat/g1"), ("council", "/ws/council"), ("agent_g1", "/ws/agent/g1")):
                await edge.edge.manager.broadcast_to_group(group, {"to": group})
                for name in ("one", "two"):
                    notice = await clients[name, path].next("system.notice")
                    assert notice["payload"] == {"to": group}
                    assert notice["topic"] == group
                    assert "cursor" not in notice
                    assert (await clients[name, "/ws/events"].next("system.notice"))["payload"] == {"to": group}
                assert await reached() == set()
            await two.edge.manager.broadcast_to_all({"to": "all"})
            for client in clients.values():
                assert (await client.next("system.notice"))["payload"] == {"to": "all"}
            await edge.edge.manager.broadcast_to_group("events", {"to": "events"})
            for name in ("one", "two"):
                assert (await clients[name, "/ws/events"].next("system.notice"))["payload"] == {"to": "events"}
            assert await reached() == set()
        finally:
            for client in clients.values():
                await client.ws.close()


async def test_emit_event_finds_the_subject_in_the_payload_or_the_group(edge: RunningEdge) -> None:
    manager = edge.edge.manager
    async with edge.connect("/ws/events") as client:
        for event_type, payload, group, subject in (
            ("chat.message", {"session_id": "e1", "content": "hi"}, None, "chat.e1.message"),
            ("chat.message", {"content": "hi"}, "chat_e_2", "chat.e_2.message"),
            ("agent.activity", {"activity": "x"}, "agent_a1", "agent.a1.activity"),
            ("task.update", {"task_id": "t1", "status": "done"}, "agent_a1", "task.t1.update"),
            ("council.update", {"council_id": "c1"}, "council", "council.c1.update"),
        ):
            ack = await manager.emit_event(event_type, payload, group)
            event = await client.event()
            assert (event["subject"], event["payload"], event["cursor"]) == (subject, payload, ack.cursor)
            assert event["source"] == "one"
        await manager.emit_event("system.notice", {"text": "hello"}, "chat_e1")
        assert (await client.next("system.notice"))["subject"] == "system.chat_e1.notice"
        assert await client.pong() == []


@pytest.mark.parametrize(
    ("event_type", "payload", "group", "error"),
    [
        ("chat.message", {}, None, InvalidEvent),
        ("chat.message", {}, "council", InvalidEvent),
        ("chat.message", {"session_id": "*"}, None, InvalidId),
        ("chat.message", {"session_id": "a.b"}, None, InvalidId),
        ("chat.message", {"session_id": ["a"]}, None, InvalidId),
        ("chat", {"session_id": "a"}, "chat_a", ValueError),
        ("chat.>", {"session_id": "a"}, "chat_a", ValueError),
        ("weather.report", {}, "chat_a", NotCovered),
        ("chat.message", ["session_id"], None, InvalidEvent),
        ("chat.message", None, "chat_a", InvalidEvent),
        ("chat.message", {"session_id": "a", "x": object()}, None, InvalidEvent),
        ("chat.message", {"session_id": "a", "x": "y" * 70_000}, None, InvalidEvent),
    ],
)
async def test_what_cannot_be_emitted_is_refused_in_one_sentence(
    edge: RunningEdge, event_type: str, payload: Any, group: str | None, error: type[Exception]
) -> None:
    with pytest.raises(error) as refused:
        await edge.edge.manager.emit_event(event_type, payload, group)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


async def test_a_broadcast_must_be_an_object_to_a_group_that_can_be(edge: RunningEdge) -> None:
    manager = edge.edge.manager
    for message in ([1], "text", None, 5):
        with pytest.raises(InvalidEvent):
            await manager.broadcast_to_all(message)  # type: ignore[arg-type]
        with pytest.raises(InvalidEvent):
            await manager.broadcast_to_group("council", message)  # type: ignore[arg-type]
    for group in ("chat_*", "chat_", "everything", "", "agent_a.b", "all"):
        with pytest.raises(InvalidId):
            await manager.broadcast_to_group(group, {})


async def test_what_is_known_of_each_connection(edge: RunningEdge) -> None:
    async with edge.connect("/ws/council", user_agent_header="x" * 1_000) as client:
        (known,) = edge.edge.manager.connections()
        assert known["socket_id"] == client.hello["payload"]["socket_id"]
        assert known["connection_id"] == "council"
        assert known["user_agent"] == "x" * 256
        assert known["address"] == "{}:{}".format(*client.ws.local_address)
        assert known["metadata"] == {}
        assert known["is_behind"] is False
        since, seen = (datetime.fromisoformat(known[key]) for key in ("connected_since", "last_seen"))
        assert since.utcoffset() is not None
        assert abs(datetime.now(UTC) - since) < timedelta(hours=1), "it is the time of day"
        await client.pong()
        (known,) = edge.edge.manager.connections()
        assert datetime.fromisoformat(known["last_seen"]) >= seen >= since
        assert (edge.edge.manager.count(), edge.edge.manager.count("council"), edge.edge.manager.count("x")) == (
            1,
            1,
            0,
        )
    await eventually(lambda: edge.edge.manager.connections() == [])


# -- interest and clean-up --------------------------------------------------------------------------------------------


async def subscriptions(server: NatsServer, name: str) -> list[str]:
    """What nats-server says that a connection listens to."""

    def get() -> list[str]:
        with urllib.request.urlopen(f"{server.monitoring_url}/connz?subs=1", timeout=5) as answer:
            connections = json.loads(answer.read())["connections"]
        return [s for c in connections if c.get("name") == name for s in c.get("subscriptions_list", [])]

    return [s for s in await asyncio.to_thread(get) if s.startswith("live.")]


async def test_an_edge_listens_to_what_has_viewers_and_no_longer(shared_nats: NatsServer, edge: RunningEdge) -> None:
    async def listens(to: list[str]) -> bool:
        return sorted(await subscriptions(shared_nats, "mesh-edge/one")) == sorted(to)

    chat = ["live.chat.i1.>", "live.session.i1.>", "live.system.chat_i1.notice", "live.system.all.notice"]
    await eventually(lambda: listens([]))
    async with edge.connect("/ws/chat/i1"):
        await eventually(lambda: listens(chat))
        async with edge.connect("/ws/chat/i1"), edge.connect("/ws/events"):
            await eventually(lambda: listens([*chat, "live.>"]))
        await eventually(lambda: listens(chat))
    async with edge.connect("/ws/chat/i1"):  # before the linger is over: it is followed still
        assert await listens(chat)
    await eventually(lambda: listens([]))
    assert list(edge.edge.topics()) == []


async def test_those_who_vanish_are_cleaned_up(edge: RunningEdge, mesh: Mesh) -> None:
    vanishing = [await RawClient.connect(edge.port, "/ws/chat/v1") for _ in range(10)]
    async with edge.connect("/ws/chat/v1") as client:
        await eventually(lambda: edge.edge.manager.count("chat_v1") == 11)
        for raw in vanishing:
            raw.close()
        await flood(mesh, "chat.v1.message", range(50))
        assert [event["payload"]["content"] for event in await client.events(50)] == list(range(50))
        await eventually(lambda: edge.edge.manager.count("chat_v1") == 1)
        (topic,) = (topic for topic in edge.edge.topics() if topic.name == "chat_v1")
        assert (len(topic.readers), len(topic.ready), len(topic.behind)) == (1, 1, 0)


async def test_those_who_vanish_during_the_handshake_leave_nothing_behind(
    edge: RunningEdge, mesh: Mesh, caplog: pytest.LogCaptureFixture
) -> None:
    ack = await mesh.publish("council.hs.update", {})
    beyond = ack.cursor.partition("-")[0] + "-999999999"
    for _ in range(100):
        _, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(handshake(f"/ws/council?since={beyond}"))
        await writer.drain()
        writer.transport.abort()
    async with edge.connect("/ws/council") as client:
        await eventually(lambda: edge.edge.manager.count() == 1)
        assert await client.pong() == []
        (topic,) = (topic for topic in edge.edge.topics() if topic.name == "council")
        await eventually(lambda: (len(topic.readers), len(topic.ready) + len(topic.behind)) == (1, 1))
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


# -- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("P-DRAIN-1")
async def test_draining_tells_to_reconnect_then_closes_and_lets_nobody_in(shared_nats: NatsServer) -> None:
    async with running_edge(shared_nats.url, drain_s=0.5) as edge:
        clients = [edge.connect("/ws/council") for _ in range(20)]
        for client in clients:
            await client.__aenter__()
        draining = asyncio.create_task(edge.edge.drain())
        delays = [(await client.next("reconnect"))["payload"]["after_ms"] for client in clients]
        assert all(0 <= delay <= 500 for delay in delays)
        assert len(set(delays)) > 5
        status, body = await edge.refusal("/ws/council")
        assert status == 503
        assert "stopped" in body["detail"]
        for client in clients:
            assert await client.closing() == (closing.RESTART.code, closing.RESTART.reason)
        await draining
        await eventually(lambda: edge.edge.manager.count() == 0)
        assert not edge.edge.is_ready


@pytest.mark.promise("P-DRAIN-1", "P-CODES-1")
async def test_sigterm_ends_an_edge_with_1012_for_all_also_for_one_that_does_not_read(
    shared_nats: NatsServer, mesh: Mesh
) -> None:
    async with edge_process(shared_nats.url) as edge:
        stopped = await RawClient.connect(edge.port, "/ws/agent/term")
        try:
            async with edge.connect("/ws/agent/term") as client:
                await flood(mesh, "agent.term.activity", range(4_000), pad_bytes=1_000)
                await client.events(4_000)
                ending = asyncio.create_task(edge.terminate())
                assert (await client.closing())[0] == closing.RESTART.code
                async with within(6):
                    assert await ending in (0, -15)
        finally:
            stopped.close()


# -- somebody else's application --------------------------------------------------------------------------------------


def existing_app() -> FastAPI:
    """An application as it stood before, with a WebSocket of its own, that includes the router."""
    app = FastAPI()
    app.state.gone = []
    app.include_router(websocket_router)

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                await websocket.send_text(await websocket.receive_text())
        except WebSocketDisconnect:
            pass

    @app.websocket("/own/{name}")
    async def own(websocket: WebSocket, name: str) -> None:
        manager = edge_of(websocket).manager
        await manager.connect(websocket, f"chat_{name}", {"user": "ada"})
        try:
            while True:
                await websocket.receive_text()
        except WebSocketDisconnect:
            app.state.gone.append(name)

    @app.websocket("/kick/{name}")
    async def kick(websocket: WebSocket, name: str) -> None:
        manager = edge_of(websocket).manager
        await manager.connect(websocket, f"chat_{name}")
        await manager.disconnect(websocket, f"chat_{name}")
        await manager.disconnect(websocket, f"chat_{name}")

    return app


@pytest.mark.promise("P-ROUTER-1")
async def test_an_existing_application_serves_the_four_routes_beside_its_own(
    shared_nats: NatsServer, mesh: Mesh
) -> None:
    async with running_edge(shared_nats.url, app=existing_app()) as edge:
        for path, subject in (
            ("/ws/events", "brain.main.status"),
            ("/ws/chat/x1", "chat.x1.message"),
            ("/ws/council", "council.x1.update"),
            ("/ws/agent/x1", "agent.x1.activity"),
            ("/own/x2", "chat.x2.message"),
        ):
            async with edge.connect(path) as client:
                assert client.hello["payload"]["recovered"] is True
                ack = await mesh.publish(subject, {"n": 1})
                assert (await client.event())["cursor"] == ack.cursor
                if path == "/own/x2":
                    assert edge.edge.manager.connections()[0]["metadata"] == {"user": "ada"}
        await eventually(lambda: edge.app.state.gone == ["x2"])
        async with connect(f"ws://127.0.0.1:{edge.port}/echo") as ws, within():
            await ws.send("as ever")
            assert await ws.recv() == "as ever"
        async with connect(f"ws://127.0.0.1:{edge.port}/kick/x3") as ws, within():
            await ws.wait_closed()
            assert ws.close_code == closing.NORMAL.code


@pytest.mark.promise("P-ROUTER-1")
async def test_without_the_hand_over_protocol_one_is_told_what_to_do(
    shared_nats: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_edge(shared_nats.url, ws="websockets-sansio") as edge:
        status, body = await edge.refusal("/ws/events")
        assert status == 500
        assert "--ws mesh_edge.protocol:HandoverProtocol" in body["detail"]
    assert "--ws mesh_edge.protocol:HandoverProtocol" in caplog.text
    assert "MESH_NATS_URL" not in os.environ
