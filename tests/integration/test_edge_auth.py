"""A token that comes as the first message of a WebSocket, at both doors."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from mesh_edge.door import Door
from mesh_edge.socket import WebSocket
from mesh_edge.stranger import Stranger
from mesh_edge.turnstile import Turnstile
from tests.support.deadlines import eventually, within
from tests.support.edge import RunningEdge, running_edge
from tests.support.keepers import keepers
from tests.support.plain_ws import hear
from tests.support.proxy import NatsProxy
from tests.support.tokens import KEY, token

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.promise("P-TOKEN-3")]

DOORS = ["auto", Door]


S1 = token("chat.s1.>", "session.s1.>", write=["chat.s1.message"])


def said(**message: Any) -> str:
    return msgspec.json.encode(message).decode()


def auth(shown: str = S1) -> str:
    return said(type="auth", token=shown)


async def end_of(ws: ClientConnection) -> int:
    """Give the code with which it is closed, before anything else is said."""
    async with within():
        with pytest.raises(ConnectionClosed) as closed:
            await ws.recv()
        return closed.value.rcvd.code if closed.value.rcvd else 1006


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=DOORS, ids=["route", "lean"])
async def edge(shared_nats: NatsServer, mesh: Mesh, request: pytest.FixtureRequest) -> AsyncIterator[RunningEdge]:
    async with running_edge(shared_nats.url, http=request.param, token_key=KEY, linger_s=0) as edge:
        yield edge


def url(edge: RunningEdge, path: str = "/ws/chat/s1") -> str:
    return f"ws://127.0.0.1:{edge.port}{path}"


def count(edge: RunningEdge, code: int) -> int:
    return sum(count for (status, _), count in edge.edge.counts.refused.items() if status == str(code))


async def is_empty(edge: RunningEdge) -> None:
    """Wait until nothing is left of anybody who came."""
    await eventually(lambda: not list(edge.edge.sockets()))
    await eventually(lambda: not edge.server.server_state.connections)
    await eventually(lambda: not list(edge.edge.topics()))

    def left() -> list[Stranger]:
        gc.collect()
        strangers = [one for one in gc.get_objects() if isinstance(one, Stranger)]
        return [one for one in strangers if one._edge is edge.edge]  # others may be of files that ran before

    try:
        await eventually(lambda: not left())
    except AssertionError:
        raise AssertionError([keepers(one) for one in left()]) from None  # finding that out may take long


async def test_a_first_message_opens_what_its_token_says(edge: RunningEdge, mesh: Mesh) -> None:
    async with connect(url(edge), subprotocols=["mesh.v1"], compression=None) as ws:  # type: ignore[list-item]
        assert ws.subprotocol == "mesh.v1"
        await eventually(lambda: list(edge.edge.sockets()))
        assert all(isinstance(one, Stranger) for one in edge.edge.sockets())
        assert not list(edge.edge.topics())
        await mesh.publish("chat.s1.message", {"content": "not for it"})
        await ws.send(auth())
        hello = await hear(ws)
        assert (hello["event_type"], hello["payload"]["connection_id"]) == ("connection", "chat_s1")
        await mesh.publish("chat.s1.message", {"content": "for it"})
        assert (await hear(ws))["payload"]["content"] == "for it"
        (socket,) = edge.edge.sockets()
        assert (socket.visitor.user, socket.visitor.may_write) == ("ada", ("chat.s1.message",))
        assert len(edge.server.server_state.connections) == 1
    await is_empty(edge)


async def test_it_resumes_from_where_its_address_says(edge: RunningEdge, mesh: Mesh) -> None:
    first = await mesh.publish("chat.s1.message", {"content": 1})
    await mesh.publish("chat.s1.message", {"content": 2})
    async with connect(url(edge, f"/ws/chat/s1?since={first.cursor}")) as ws:
        await ws.send(auth())
        assert (await hear(ws))["payload"]["recovered"] is False
        assert (await hear(ws))["payload"]["content"] == 2


async def test_a_socket_of_many_topics_may_subscribe_to_what_its_token_says(edge: RunningEdge) -> None:
    async with connect(url(edge, "/ws")) as ws:
        for message in (auth(), said(type="subscribe", topic="chat_s1"), said(type="subscribe", topic="chat_s2")):
            await ws.send(message)  # without waiting for an answer
        told = [await hear(ws) for _ in range(3)]
        assert told[0]["payload"]["status"] == "connected"
        assert "connection_id" not in told[0]["payload"]
        assert {frame["payload"].get("connection_id", frame["payload"].get("code")) for frame in told[1:]} == {
            "chat_s1",
            "forbidden",
        }
    await is_empty(edge)


FIRST_MESSAGES: dict[str, tuple[Callable[[], str | bytes], int]] = {
    "another topic's": (lambda: auth(token("chat.s2.>")), 4403),
    "expired": (lambda: auth(token(">", lives_s=-1)), 4401),
    "of another key": (lambda: auth(token(">", key="the key of somebody else, 32 bytes")), 4401),
    "empty": (lambda: auth(""), 4401),
    "no token at all": (lambda: auth("\x00é "), 4401),
    "missing": (lambda: said(type="auth"), 4401),
    "a number": (lambda: said(type="auth", token=7), 4401),
    "a ping": (lambda: said(type="ping"), 4401),
    "a wish": (lambda: said(type="subscribe", topic="chat_s1"), 4401),
    "no json": (lambda: "no json", 4401),
    "binary": (lambda: b"binary", 1003),
    "too long": (lambda: auth("x" * 20_000), 1009),
}


@pytest.mark.parametrize(("make", "code"), FIRST_MESSAGES.values(), ids=FIRST_MESSAGES)
async def test_any_other_first_message_ends_it(edge: RunningEdge, make: Callable[[], str | bytes], code: int) -> None:
    before = count(edge, code)
    async with connect(url(edge)) as ws:
        await ws.send(make())
        assert await end_of(ws) == code
    if code > 4_000:
        assert count(edge, code) == before + 1
    await is_empty(edge)


async def test_a_second_token_takes_the_place_of_the_first(edge: RunningEdge) -> None:
    async with connect(url(edge)) as ws:
        await ws.send(auth())
        await ws.send(auth())
        assert (await hear(ws))["event_type"] == "connection"
        renewed = await hear(ws)
        assert (renewed["event_type"], renewed["payload"]["user"]) == ("auth", "ada")
        await ws.send(said(type="ping", timestamp=1))
        assert (await hear(ws))["event_type"] == "pong"


async def test_who_brings_a_token_is_never_a_stranger(edge: RunningEdge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh_edge.edge.Stranger", None)  # would fail if it was made
    for shown, code in ((S1, None), (token(">", lives_s=-1), 4401)):
        async with connect(url(edge), additional_headers={"Authorization": f"Bearer {shown}"}) as ws:
            if code:
                assert await end_of(ws) == code
            else:
                assert (await hear(ws))["event_type"] == "connection"


@pytest.mark.parametrize("http", DOORS, ids=["route", "lean"])
async def test_who_says_nothing_is_closed_and_leaves_nothing_behind(
    shared_nats: NatsServer, mesh: Mesh, http: Any
) -> None:
    async with running_edge(shared_nats.url, http=http, token_key=KEY, auth_within_s=0.2) as edge:
        for path in ("/ws/chat/s1", "/ws", "/ws/chat/s1?history=1"):
            async with connect(url(edge, path)) as ws:
                assert await end_of(ws) == 4401
        await is_empty(edge)
        assert edge.edge.counts.refused == {("4401", "unauthenticated"): 3}
        assert edge.edge.counts.closed == {"4401": 3}


@pytest.mark.parametrize("http", DOORS, ids=["route", "lean"])
async def test_who_vanishes_before_saying_anything_leaves_nothing_behind(
    shared_nats: NatsServer, mesh: Mesh, http: Any
) -> None:
    async with running_edge(shared_nats.url, http=http, token_key=KEY) as edge:
        vanished = [await connect(url(edge)) for _ in range(3)]
        assert len(list(edge.edge.sockets())) == 3
        for ws in vanished:
            ws.transport.abort()
        await is_empty(edge)
        assert edge.edge.counts.refused == {}
        assert edge.edge.counts.closed == {"lost": 3}


async def test_who_was_pinged_last_leaves_nothing_behind(shared_nats: NatsServer, mesh: Mesh) -> None:
    async with running_edge(shared_nats.url, token_key=KEY, keepalive_s=1) as edge:
        async with connect(url(edge)):
            await eventually(lambda: any(one.heard > one.connected_at for one in edge.edge.sockets()))  # its pong
        await is_empty(edge)


@pytest.mark.parametrize("http", DOORS, ids=["route", "lean"])
async def test_where_no_token_is_awaited_it_is_closed_at_once(shared_nats: NatsServer, mesh: Mesh, http: Any) -> None:
    async with running_edge(shared_nats.url, http=http, token_key=KEY, auth_within_s=0) as edge:
        async with connect(url(edge)) as ws:
            assert await end_of(ws) == 4401
        assert not list(edge.edge.sockets())


@pytest.mark.promise("P-CROWD-1")
@pytest.mark.parametrize("http", DOORS, ids=["route", "lean"])
async def test_strangers_count_among_the_sockets_of_their_address(
    shared_nats: NatsServer, mesh: Mesh, http: Any
) -> None:
    limits: dict[str, Any] = {"sockets_per_address": 2, "sockets_per_user": 1, "linger_s": 0}
    async with running_edge(shared_nats.url, http=http, token_key=KEY, **limits) as edge:
        async with connect(url(edge)) as one, connect(url(edge)) as two:
            assert (await edge.refusal("/ws/chat/s1"))[0] == 429
            await one.send(auth())
            assert (await hear(one))["event_type"] == "connection"
            assert (await edge.refusal("/ws/chat/s1"))[0] == 429
            await two.send(auth())
            assert await end_of(two) == 4429
        await is_empty(edge)
        async with connect(url(edge)), connect(url(edge)):
            pass


@pytest.mark.parametrize("http", DOORS, ids=["route", "lean"])
async def test_who_vanishes_while_its_topic_is_not_ready_leaves_nothing_behind(
    shared_nats: NatsServer, mesh: Mesh, http: Any
) -> None:
    async with (
        NatsProxy.running(shared_nats.port) as proxy,
        running_edge(proxy.url, http=http, token_key=KEY, linger_s=0) as edge,
    ):
        proxy.delay_s = 0.1
        for _ in range(2):
            ws = await connect(url(edge))
            await ws.send(auth())
            await eventually(lambda: list(edge.edge.topics()))
            ws.transport.abort()
            await is_empty(edge)


@pytest.mark.promise("P-DRAIN-1")
@pytest.mark.parametrize("http", DOORS, ids=["route", "lean"])
async def test_strangers_are_sent_away_too(shared_nats: NatsServer, mesh: Mesh, http: Any) -> None:
    async with running_edge(shared_nats.url, http=http, token_key=KEY, drain_s=0.1) as edge:
        async with connect(url(edge)) as ws:
            draining = asyncio.create_task(edge.edge.drain())
            assert (await hear(ws))["event_type"] == "reconnect"
            assert await end_of(ws) == 1012
            async with within():
                await draining
        await is_empty(edge)


async def test_what_comes_behind_a_token_waits_for_its_turn(edge: RunningEdge, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its order, and bounded: a hundred messages that do not wait for an answer are too many."""
    line = list[Any]()
    async with connect(url(edge)) as ws, connect(url(edge)) as other:
        monkeypatch.setattr(Turnstile, "line_up", lambda _, go: line.append(go))  # the line stands still
        await ws.send(auth())
        for number in range(10):
            await ws.send(said(type="ping", timestamp=number))
        await eventually(lambda: len(line) == 1)
        (stranger,) = {one for one in edge.edge.sockets() if isinstance(one, Stranger) and one._rest is not None}
        await eventually(lambda: len(stranger._rest or ()) == 10)
        line.pop()()
        await eventually(lambda: len(line) == 1)  # its topic is ready
        line.pop()()
        assert (await hear(ws))["event_type"] == "connection"
        assert [(await hear(ws))["timestamp"] for _ in range(10)] == list(range(10))
        await other.send(auth())
        for _ in range(100):
            await other.send(said(type="ping"))
        assert await end_of(other) == 4429
        await eventually(lambda: len(line) == 1)
        line.pop()()  # its turn comes, and it has gone
    monkeypatch.undo()
    await eventually(lambda: not [one for one in edge.edge.sockets() if isinstance(one, WebSocket)])
