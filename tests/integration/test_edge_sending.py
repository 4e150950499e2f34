"""Clients send over their sockets: stored before it is acknowledged, once, in order, and only what they may."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from websockets.exceptions import ConnectionClosed

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from daena_mesh.layout import RECORDS, SIGNALS
from daena_mesh.sessions import SessionStore
from mesh_edge.link import Visitor
from tests.support.deadlines import eventually, within
from tests.support.edge import RunningEdge, provisioned_mesh, running_edge
from tests.support.ws_client import Client, Frame, position

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(shared_nats: NatsServer, mesh: Mesh) -> AsyncIterator[RunningEdge]:
    async with running_edge(shared_nats.url, edge_id="one") as edge:
        yield edge


async def send(client: Client, subject: str, payload: dict[str, Any], client_id: str | None = None) -> None:
    about = {} if client_id is None else {"id": client_id}
    await client.ws.send(json.dumps({"type": "send", **about, "subject": subject, "payload": payload}))


async def answers(client: Client, count: int) -> list[Frame]:
    """Give the next answers to what was sent, passing over events."""
    found: list[Frame] = []
    async with within():
        while len(found) < count:
            if (frame := await client.frame())["event_type"] in {"ack", "error"}:
                found.append(frame["payload"])
    return found


async def say(client: Client, session: str, content: str, client_id: str) -> Frame:
    """Send a message, and give its answer."""
    await send(client, f"chat.{session}.message", {"sender": "ada", "content": content}, client_id)
    (answer,) = await answers(client, 1)
    assert answer["id"] == client_id
    return answer


async def said(mesh: Mesh, session: str) -> list[str]:
    return [event.payload["content"] for event in await mesh.chat(session).history()]


@pytest.mark.promise("P-SEND-1")
async def test_an_acknowledgement_names_the_event_that_everybody_sees(edge: RunningEdge, mesh: Mesh) -> None:
    async with edge.connect("/ws/chat/a1") as ada, edge.connect("/ws/chat/a1") as bob:
        ack = await say(ada, "a1", "hello", "c1")
        assert ack == {"id": "c1", "cursor": ack["cursor"], "duplicate": False}
        stored = await mesh.log.get(RECORDS, position(ack["cursor"])[1])
        assert stored is not None
        assert json.loads(stored.body)["payload"]["content"] == "hello"
        event = await bob.event()
        assert (event["cursor"], event["subject"], event["source"]) == (ack["cursor"], "chat.a1.message", "one")
        message = {"session_id": "a1", "sender": "ada", "content": "hello", "message_id": event["id"]}
        assert event["payload"] == message


@pytest.mark.promise("P-SEND-2")
async def test_a_repeated_id_is_acknowledged_alike_and_stored_once_on_whatever_edge(
    shared_nats: NatsServer, edge: RunningEdge, mesh: Mesh
) -> None:
    async with running_edge(shared_nats.url) as other, edge.connect("/ws/chat/b1") as first:
        ack = await say(first, "b1", "once", "c1")
        assert await say(first, "b1", "once", "c1") == {**ack, "duplicate": True}
        async with other.connect("/ws/events") as second:
            assert await say(second, "b1", "once", "c1") == {**ack, "duplicate": True}
            elsewhere = await say(second, "b2", "once", "c1")  # an equal id in another session is another event
            assert not elsewhere["duplicate"]
        assert await say(first, "b1", "twice", "c2") != ack
    assert await said(mesh, "b1") == ["once", "twice"]
    assert await said(mesh, "b2") == ["once"]


async def test_an_id_that_somebody_else_used_swallows_nothing_in_silence(edge: RunningEdge, mesh: Mesh) -> None:
    async with edge.connect("/ws/chat/c1") as ada, edge.connect("/ws/chat/c1") as bob:
        assert "cursor" in await say(ada, "c1", "mine", "1")
        refused = await say(bob, "c1", "and mine", "1")
        assert refused["code"] == "id_reused"
    assert await said(mesh, "c1") == ["mine"]


async def test_answers_and_events_come_in_the_order_of_sending(edge: RunningEdge, mesh: Mesh) -> None:
    async with edge.connect("/ws/chat/d1") as client:
        for number in range(60):
            subject = "session.d1.created" if number % 10 == 7 else "chat.d1.message"
            await send(client, subject, {"sender": "ada", "content": f"{number}"}, f"c{number}")
        found = await answers(client, 60)
        assert [answer["id"] for answer in found] == [f"c{number}" for number in range(60)]
        assert {answer["id"] for answer in found if "code" in answer} == {f"c{number}" for number in range(7, 60, 10)}
    seqs = [position(answer["cursor"])[1] for answer in found if "cursor" in answer]
    assert seqs == sorted(seqs)
    history = [event.payload["content"] for event in await mesh.chat("d1").history(100)]
    assert history == [f"{number}" for number in range(60) if number % 10 != 7]


async def test_a_message_without_an_id_is_stored_and_not_acknowledged(edge: RunningEdge, mesh: Mesh) -> None:
    async with edge.connect("/ws/chat/e1") as client:
        for _ in range(2):
            await send(client, "chat.e1.message", {"content": "hi"})
        assert [event["payload"]["sender"] for event in await client.events(2)] == ["user", "user"]
        assert await client.pong() == []
    assert await said(mesh, "e1") == ["hi", "hi"]


async def test_refusals_say_why_and_the_socket_lives(edge: RunningEdge, mesh: Mesh) -> None:
    async with edge.connect("/ws/chat/f1") as client:
        for subject, payload, code in (
            ("chat.f1", {}, "bad_subject"),
            ("session.f1.created", {"session": {}}, "not_allowed"),
            ("system.all.notice", {"text": "hello all"}, "not_allowed"),
            ("chat.f1.message", {"sender": "ada"}, "bad_payload"),
            ("chat.f1.message", {"content": "x" * 65_450}, "too_large"),
        ):
            await send(client, subject, payload, "c1")
            (refused,) = await answers(client, 1)
            assert (refused["code"], refused["id"]) == (code, "c1")
        assert "cursor" in await say(client, "f1", "still here", "c1")
    assert await said(mesh, "f1") == ["still here"]


@pytest.mark.promise("P-SESSION-2")
async def test_nothing_is_said_in_a_deleted_session(edge: RunningEdge, mesh: Mesh) -> None:
    sessions = SessionStore(mesh)
    await sessions.create("g1", title="Gone")
    await sessions.delete("g1")
    async with edge.connect("/ws/chat/g1") as client:
        assert (await say(client, "g1", "hello?", "c1"))["code"] == "gone"
    assert await said(mesh, "g1") == []


@pytest.mark.promise("P-SEND-3")
async def test_with_a_token_the_sender_is_its_user_and_its_patterns_count(edge: RunningEdge, mesh: Mesh) -> None:
    async with edge.connect("/ws/chat/h1") as ada, edge.connect("/ws/chat/h1") as bob:
        links = {link.socket_id: link for link in edge.edge.sockets()}
        for client, user in ((ada, "ada"), (bob, "bob")):
            link = links[client.hello["payload"]["socket_id"]]
            link.visitor = Visitor("", user, ("chat.h1.message", "chat.h1.delta"))
        first = await say(ada, "h1", "as myself", "c1")
        second = await say(bob, "h1", "as myself", "c1")  # an equal id of another user is another event
        assert not second["duplicate"]
        assert first["cursor"] != second["cursor"]
        assert (await say(ada, "h2", "elsewhere", "c2"))["code"] == "not_allowed"
        await send(ada, "chat.h1.typing", {}, "c3")
        assert (await answers(ada, 1))[0]["code"] == "not_allowed"
    assert [event.payload["sender"] for event in await mesh.chat("h1").history()] == ["ada", "bob"]


async def test_typing_is_shown_and_gone_after_its_time(edge: RunningEdge, mesh: Mesh) -> None:
    async with edge.connect("/ws/chat/i1") as ada, edge.connect("/ws/chat/i1") as bob:
        for _ in range(5):
            await send(ada, "chat.i1.typing", {"sender": "ada"})
        event = await bob.event()
        assert event["event_type"] == "chat.typing"
        assert event["payload"] == {"session_id": "i1", "sender": "ada"}
        assert [frame["event_type"] for frame in await ada.pong()] == ["chat.typing"]  # no answer, and once a second
        stored = await mesh.log.get(SIGNALS, position(event["cursor"])[1])
        assert stored is not None
        assert b"Nats-TTL: 5" in stored.headers
        await send(ada, "chat.i1.typing", {"sender": "ada"}, "c1")
        assert "cursor" in (await answers(ada, 1))[0]


async def test_who_sends_too_fast_is_told_then_closed_and_nothing_is_stored_after_it(
    shared_nats: NatsServer, mesh: Mesh
) -> None:
    async with running_edge(shared_nats.url, messages_per_s=2) as edge:
        async with edge.connect("/ws/chat/j1") as client:
            with contextlib.suppress(ConnectionClosed):
                for number in range(100):
                    await send(client, "chat.j1.message", {"content": f"{number}"}, f"c{number}")
            code, _ = await client.closing()
            assert code == 4429
        async with edge.connect("/ws/chat/j1") as client:
            assert "cursor" in await say(client, "j1", "after a while", "x")
    history = await said(mesh, "j1")
    assert history.pop() == "after a while"
    assert history == [f"{number}" for number in range(len(history))]
    assert len(history) < 90


@pytest.mark.promise("P-SEND-1")
async def test_without_nats_a_send_is_not_stored_says_so_and_works_again_under_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh_edge.sending.DEADLINE_S", 1.0)
    server = await NatsServer.start(tmp_path, port=0)
    try:
        async with (
            provisioned_mesh(server.url) as mesh,
            running_edge(server.url) as edge,
            edge.connect("/ws/chat/k1") as client,
            within(40),
        ):
            assert "cursor" in await say(client, "k1", "before", "c1")
            server.kill()
            await server.wait()
            began = asyncio.get_running_loop().time()
            numbers = range(2, 12)
            for number in numbers:
                await send(client, "chat.k1.message", {"sender": "ada", "content": "meanwhile"}, f"c{number}")
            refused = await answers(client, len(numbers))
            assert asyncio.get_running_loop().time() - began < 6  # each since it came in, not one after the other
            told = [(answer["id"], answer["code"]) for answer in refused]
            assert told == [(f"c{number}", "not_stored") for number in numbers]
            assert refused[0]["retry_after_ms"] > 0
            await send(client, "chat.k1.typing", {})
            server = await NatsServer.start(tmp_path, port=server.port)

            async def again() -> bool:
                return "cursor" in await say(client, "k1", "meanwhile", "c2")

            await eventually(again, within_s=20)
            await mesh.connection.wait_ready(10)
            assert await said(mesh, "k1") == ["before", "meanwhile"]
    finally:
        await server.stop()
