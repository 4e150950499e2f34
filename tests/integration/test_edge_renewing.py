"""A token that expires closes what it opened, and a fresh one in time keeps it open."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from daena_mesh.ids import uuid7
from mesh_edge.door import Door
from tests.support.deadlines import eventually
from tests.support.edge import RunningEdge, running_edge
from tests.support.event_source import event_source
from tests.support.plain_ws import end_of, hear, say
from tests.support.tokens import KEY, bearer, token

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.promise("P-TOKEN-6")]

CHAT = ("chat.r1.>", "session.r1.>")
SHORT_S = 2


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["auto", Door], ids=["route", "lean"])
async def edge(shared_nats: NatsServer, mesh: Mesh, request: pytest.FixtureRequest) -> AsyncIterator[RunningEdge]:
    async with running_edge(shared_nats.url, http=request.param, token_key=KEY, linger_s=0) as edge:
        yield edge


@asynccontextmanager
async def opened(edge: RunningEdge, shown: str, path: str = "/ws/chat/r1") -> AsyncIterator[ClientConnection]:
    url = f"ws://127.0.0.1:{edge.port}{path}"
    async with connect(url, additional_headers=bearer(shown), compression=None) as ws:
        assert (await hear(ws))["event_type"] == "connection"
        if path == "/ws":
            await say(ws, type="subscribe", topic="chat_r1")
            assert (await hear(ws))["payload"]["connection_id"] == "chat_r1"
        yield ws


@pytest.mark.parametrize("path", ["/ws/chat/r1", "/ws"])
async def test_a_socket_is_closed_when_its_token_expires(edge: RunningEdge, path: str) -> None:
    began = time.time()
    async with opened(edge, token(*CHAT, lives_s=SHORT_S), path) as ws:
        assert await end_of(ws) == 4401
    assert time.time() >= began + SHORT_S
    await eventually(lambda: not list(edge.edge.sockets()))
    assert not edge.edge._expiry._due


async def test_a_socket_whose_token_came_in_a_message_is_closed_likewise(edge: RunningEdge) -> None:
    async with connect(f"ws://127.0.0.1:{edge.port}/ws/chat/r1") as ws:
        await say(ws, type="auth", token=token(*CHAT, lives_s=SHORT_S))
        assert (await hear(ws))["event_type"] == "connection"
        assert await end_of(ws) == 4401


async def test_an_event_stream_ends_when_its_token_expires(edge: RunningEdge) -> None:
    header = bearer(token(*CHAT, lives_s=SHORT_S))
    async with event_source(edge.port, "/sse/chat/r1", **header) as stream:
        assert stream.status == 200
        await stream.ended()
    async with event_source(edge.port, "/sse/chat/r1", **header) as stream:
        assert stream.status == 401


@pytest.mark.parametrize("path", ["/ws/chat/r1", "/ws"])
async def test_a_fresh_token_keeps_it_open(edge: RunningEdge, mesh: Mesh, path: str) -> None:
    short = token(*CHAT, lives_s=SHORT_S)
    async with opened(edge, short, path) as ws, opened(edge, short, path) as other:
        await say(ws, type="send", id="c1", subject="chat.r1.message", payload={"content": "no"})
        assert (await hear(ws))["payload"]["code"] == "not_allowed"
        await say(ws, type="auth", token=token(*CHAT, write=["chat.r1.message"]))
        renewed = await hear(ws)
        assert renewed["event_type"] == "auth"
        assert (renewed["payload"]["status"], renewed["payload"]["user"]) == ("renewed", "ada")
        assert renewed["payload"]["expires_at"] > time.time() + 500
        assert await end_of(other) == 4401  # that time has come
        await mesh.publish("chat.r1.message", {"content": "still there"})
        assert (await hear(ws))["payload"]["content"] == "still there"
        await say(ws, type="send", id=uuid7(), subject="chat.r1.message", payload={"content": "yes"})
        assert {(await hear(ws))["event_type"] for _ in range(2)} == {"ack", "chat.message"}


async def test_a_fresh_token_says_what_else_may_be_followed(edge: RunningEdge) -> None:
    async with opened(edge, token(*CHAT), "/ws") as ws:
        await say(ws, type="subscribe", topic="chat_r2")
        assert (await hear(ws))["payload"]["code"] == "forbidden"
        await say(ws, type="auth", token=token(*CHAT, "chat.r2.>", "session.r2.>"))
        assert (await hear(ws))["event_type"] == "auth"
        await say(ws, type="subscribe", topic="chat_r2")
        assert (await hear(ws))["payload"]["connection_id"] == "chat_r2"


WRONG: dict[str, tuple[Callable[[], Any], int]] = {
    "of somebody else": (lambda: token(*CHAT, sub="bob"), 4403),
    "for less than it follows": (lambda: token("chat.r1.>"), 4403),
    "expired": (lambda: token(*CHAT, lives_s=-1), 4401),
    "of another key": (lambda: token(*CHAT, key="the key of somebody else, 32 bytes"), 4401),
    "none": (lambda: "", 4401),
    "a number": (lambda: 7, 4401),
}


@pytest.mark.parametrize("path", ["/ws/chat/r1", "/ws"])
@pytest.mark.parametrize(("make", "code"), WRONG.values(), ids=WRONG)
async def test_a_token_that_does_not_do_ends_it(
    edge: RunningEdge, path: str, make: Callable[[], Any], code: int
) -> None:
    async with opened(edge, token(*CHAT), path) as ws:
        await say(ws, type="auth", token=make())
        assert await end_of(ws) == code


async def test_where_nobody_authenticates_a_token_is_an_error(shared_nats: NatsServer, mesh: Mesh) -> None:
    async with running_edge(shared_nats.url, linger_s=0) as edge, opened(edge, "x") as ws:
        await say(ws, type="auth", token=token(*CHAT))
        assert (await hear(ws))["payload"]["code"] == "auth_too_late"
        await say(ws, type="ping", timestamp=1)
        assert (await hear(ws))["event_type"] == "pong"


@pytest.mark.promise("P-TOKEN-8")
async def test_of_all_events_everybody_is_shown_what_they_may_read(edge: RunningEdge, mesh: Mesh) -> None:
    shown = token("chat.r8.>", "agent.*.activity")
    url, header = f"ws://127.0.0.1:{edge.port}", bearer(shown)
    async with AsyncExitStack() as stack:
        sockets: list[ClientConnection] = [
            await stack.enter_async_context(connect(f"{url}/ws/events", additional_headers=header)),
            await stack.enter_async_context(connect(f"{url}/ws/events")),
            await stack.enter_async_context(connect(f"{url}/ws", additional_headers=header)),
        ]
        await say(sockets[1], type="auth", token=shown)
        await say(sockets[2], type="subscribe", topic="events")
        await hear(sockets[2])
        for ws in sockets:
            assert (await hear(ws))["payload"]["connection_id"] == "events"
        stream = await stack.enter_async_context(event_source(edge.port, "/sse/events", **header))
        assert (await stream.frame())["event_type"] == "connection"
        await mesh.publish("chat.r9.message", {"content": "not theirs"})
        await mesh.publish("agent.a8.status", {"status": "busy"})
        await mesh.publish("chat.r8.message", {"content": "theirs"})
        await mesh.publish("agent.a8.activity", {"activity": "theirs too"})
        for ws in sockets:
            # In the order of each stream alone.
            assert {(await hear(ws))["subject"] for _ in range(2)} == {"chat.r8.message", "agent.a8.activity"}
        assert {frame["subject"] for frame in await stream.events(2)} == {"chat.r8.message", "agent.a8.activity"}
        await say(sockets[0], type="auth", token=token("chat.r8.>"))
        assert await end_of(sockets[0]) == 4403


@pytest.mark.promise("P-TOKEN-8")
async def test_what_two_patterns_allow_is_shown_once_live_and_from_the_log(edge: RunningEdge, mesh: Mesh) -> None:
    shown = token("chat.*.message", "chat.o1.>", "chat.*.*.ada", "agent.o1.>", "agent.*.activity")
    header = bearer(shown)
    both = {"chat.o1.message", "chat.o1.message.ada", "chat.o2.message", "chat.o1.typing", "agent.o1.activity"}

    async def publish() -> None:
        await mesh.publish("chat.o2.delta", {"message_id": "m", "sender": "x", "index": 0, "text": "not theirs"})
        await mesh.publish("chat.o1.typing", {"sender": "x"})
        for subject in ("chat.o1.message", "chat.o2.message", "chat.o1.message.ada"):
            await mesh.publish(subject, {"content": subject})
        await mesh.publish("agent.o1.activity", {"activity": "theirs"})
        await mesh.publish("agent.o2.status", {"status": "busy"})
        await mesh.publish("chat.o3.message", {"content": "the end"})

    async def read_on(ws: ClientConnection) -> list[dict[str, Any]]:
        read: list[dict[str, Any]] = []
        while not read or read[-1]["subject"] != "chat.o3.message":
            if "subject" in (frame := await hear(ws)):
                read.append(frame)
        return read

    async with connect(f"ws://127.0.0.1:{edge.port}/ws/events", additional_headers=header) as ws:
        began = (await hear(ws))["payload"]["cursors"]
        live = []
        for _ in range(2):  # the second time by the short way
            await publish()
            live += await read_on(ws)
            await mesh.publish("agent.o1.activity", {"activity": "the signals' end"})
            while (frame := await hear(ws)).get("payload", {}).get("activity") != "the signals' end":
                live.append(frame)
    subjects = Counter(frame["subject"] for frame in live)
    assert subjects == {**dict.fromkeys(both, 2), "chat.o3.message": 2}
    since = ".".join(began.values())
    async with connect(f"ws://127.0.0.1:{edge.port}/ws/events?since={since}", additional_headers=header) as ws:
        again = []
        while (frame := await hear(ws)).get("payload", {}).get("recovered") is not True:
            again += [frame] if "cursor" in frame else []
    assert sorted(
        frame["cursor"] for frame in again if frame["payload"].get("activity") != "the signals' end"
    ) == sorted(frame["cursor"] for frame in live)
    async with connect(
        f"ws://127.0.0.1:{edge.port}/ws/events?history=3&types=chat.message", additional_headers=header
    ) as ws:
        newest = []
        while (frame := await hear(ws)).get("payload", {}).get("recovered") is not True:
            newest += [frame["subject"]] if "cursor" in frame else []
    assert newest == ["chat.o2.message", "chat.o1.message.ada", "chat.o3.message"]
