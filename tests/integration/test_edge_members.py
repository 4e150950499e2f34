"""Sessions that belong to who began them, and are shared with others, on two edges: one by each door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import msgspec
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from daena_mesh import Mesh
from daena_mesh.chain import Hold
from daena_mesh.embedded import NatsServer
from daena_mesh.ids import uuid7
from daena_mesh.layout import SIGNALS
from daena_mesh.sessions import SessionState, SessionStore
from mesh_api.settings import ApiSettings
from mesh_edge.door import Door
from mesh_edge.edge import Edge
from mesh_edge.guarded import GuardedTopic
from tests.integration.test_api_tokens import done
from tests.support import tokens
from tests.support.api import SESSIONS, running_api
from tests.support.deadlines import eventually, within
from tests.support.doors import both_doors
from tests.support.edge import RunningEdge, provisioned_mesh, running_edge
from tests.support.event_source import event_source
from tests.support.proxy import NatsProxy
from tests.support.tokens import KEY, token
from tests.support.ws_client import Client

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.promise("P-MEMBERS-2")]

FORBIDDEN = (4403, "the token does not allow this topic")


def bearer(user: str, *read: str) -> dict[str, str]:
    return tokens.bearer(token(*read, sub=user))


class World(NamedTuple):
    """Two edges, and the sessions."""

    mesh: Mesh
    edges: Sequence[RunningEdge]
    sessions: SessionStore

    async def begun(self, *members: str) -> str:
        """Have ada begin a session, and share it."""
        session_id = uuid7()
        await self.sessions.create(session_id, title="hers", created_by="ada")
        if members:
            await self.sessions.share(session_id, add=members)
        return session_id

    async def say(self, session_id: str, content: Any) -> str:
        return (await self.mesh.publish(f"chat.{session_id}.message", {"content": content})).cursor

    async def rid_of(self, edge: int, session_id: str) -> None:
        """Wait until an edge follows nothing of a session."""
        topics = self.edges[edge].edge.topics
        await eventually(lambda: not [topic for topic in topics() if topic.name.endswith(session_id)])

    def connect(self, edge: int, path: str, user: str, *read: str, **options: Any) -> Client:
        return self.edges[edge].connect(path, additional_headers=bearer(user, *read), **options)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(shared_nats: NatsServer) -> AsyncIterator[World]:
    url = shared_nats.url
    async with (
        provisioned_mesh(url) as mesh,
        both_doors(url, token_key=KEY, linger_s=600) as edges,  # whoever was let in nowhere leaves nothing behind
    ):
        yield World(mesh, edges, SessionStore(mesh))


async def tell(client: Client, **message: Any) -> None:
    await client.ws.send(msgspec.json.encode(message).decode())


async def subscribe(client: Client, session_id: str, **more: Any) -> dict[str, Any]:
    """Subscribe, and give the first word on it."""
    await tell(client, type="subscribe", id="+1", topic=f"chat_{session_id}", **more)
    return await client.frame()


def said(frames: list[dict[str, Any]]) -> list[Any]:
    return [frame["payload"]["content"] for frame in frames if frame["event_type"] == "chat.message"]


async def ended(client: Client) -> list[dict[str, Any]]:
    """Give what it is still shown until it is closed, which must be for being forbidden."""
    shown: list[dict[str, Any]] = []

    async def read_all() -> None:
        while True:
            shown.append(await client.frame())

    with pytest.raises(ConnectionClosed) as closed:
        await read_all()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == FORBIDDEN
    return shown


async def turned_away(world: World, edge: int, path: str, user: str, *, late: bool = False) -> bool:
    """Whether an edge says that a topic is forbidden, and nothing else; ``late``: to a token in the first message."""
    url, header = f"ws://127.0.0.1:{world.edges[edge].port}{path}", bearer(user)
    async with within(), connect(url, additional_headers={} if late else header) as ws:
        if late:
            await ws.send(msgspec.json.encode({"type": "auth", "token": header["Authorization"][7:]}).decode())
        with pytest.raises(ConnectionClosed) as closed:
            await ws.recv()
        return closed.value.rcvd is not None and closed.value.rcvd.code == FORBIDDEN[0]


class Many:
    """A ledger that takes everything: a socket of many topics tells of errors too."""

    newest: dict[str, str] = {}  # noqa: RUF012 - nothing is ever put into it
    since = ""

    def note(self, frame: dict[str, Any]) -> None:
        """Take it."""


async def test_a_member_is_shown_everything_and_nothing_after_its_removal(world: World) -> None:
    session_id = await world.begun("bob")
    path = f"/ws/chat/{session_id}"
    async with AsyncExitStack() as stack:
        bobs = [await stack.enter_async_context(world.connect(edge, path, "bob")) for edge in (0, 1)]
        owner = await stack.enter_async_context(world.connect(1, path, "ada"))
        root = await stack.enter_async_context(world.connect(0, path, "root", ">"))
        many = await stack.enter_async_context(world.connect(1, "/ws", "bob", ledger=Many()))
        assert (await subscribe(many, session_id))["payload"]["recovered"] is True
        stream = await stack.enter_async_context(
            event_source(world.edges[0].port, f"/sse/chat/{session_id}", **bearer("bob"))
        )
        assert (await stream.frame())["event_type"] == "connection"
        for content in ("first", "second"):  # the second one by the short way
            await world.say(session_id, content)
            for client in (*bobs, owner, root, many):
                assert (await client.event())["payload"]["content"] == content
            assert [frame["payload"]["content"] for frame in await stream.events(1)] == [content]
        first = await world.sessions.share(session_id, add=["eve"])
        assert (await bobs[0].event())["cursor"] == first.cursor
        await world.sessions.share(session_id, remove=["bob"])
        await world.say(session_id, "after")
        for client in bobs:
            assert [frame["cursor"] for frame in await ended(client)] == ([] if client is bobs[0] else [first.cursor])
        error = await many.next("error")
        assert error["payload"]["code"] == "forbidden"
        assert (error["payload"]["topic"], error["payload"]["id"]) == (f"chat_{session_id}", "+1")
        assert await many.pong() == []
        assert [frame["cursor"] for frame in await stream.events(1)] == [first.cursor]
        with pytest.raises(EOFError):
            await stream.frame()
        for client in (owner, root):
            assert [frame["event_type"] for frame in await client.events(3)] == [
                *["session.updated"] * 2,
                "chat.message",
            ]


async def test_a_session_is_shared_and_taken_back_by_rest(shared_nats: NatsServer, world: World) -> None:
    settings = ApiSettings(nats_url=shared_nats.url, token_key=KEY)
    async with running_api(shared_nats.url, settings=settings) as api, AsyncExitStack() as stack:
        ada = token(write=["session.*.created"])
        session_id = (await done(api, ada, "POST", SESSIONS, {"title": "hers"}))["session_id"]
        path, members = f"/ws/chat/{session_id}", f"{SESSIONS}/{session_id}/members"
        assert await turned_away(world, 0, path, "bob")
        await done(api, ada, "POST", members, {"add": ["bob"]})
        bobs = [await stack.enter_async_context(world.connect(edge, path, "bob")) for edge in (0, 1)]
        await done(api, ada, "POST", "/api/v1/daena/chat", {"message": "hello", "session_id": session_id})
        for bob in bobs:
            assert said([await bob.event()]) == ["hello"]
        await done(api, ada, "POST", members, {"remove": ["bob"]})
        await done(api, ada, "POST", "/api/v1/daena/chat", {"message": "after", "session_id": session_id})
        for bob in bobs:
            assert await ended(bob) == []


async def test_who_belongs_nowhere_is_let_in_nowhere_and_edges_follow_nothing_for_them(world: World) -> None:
    session_id = await world.begun("bob")
    for edge in (0, 1):
        for ident in (session_id, "never-was"):
            for late in (False, True):
                assert await turned_away(world, edge, f"/ws/chat/{ident}", "eve", late=late)
            async with event_source(world.edges[edge].port, f"/sse/chat/{ident}", **bearer("eve")) as stream:
                assert stream.status == 403
            async with world.connect(edge, "/ws", "eve", ledger=Many()) as many:
                assert (await subscribe(many, ident))["payload"]["code"] == "forbidden"
        await world.rid_of(edge, session_id)


async def test_who_is_added_may_come_in_at_once_and_reads_what_was(world: World) -> None:
    session_id = await world.begun()
    cursor = await world.say(session_id, "before")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(world.connect(0, f"/ws/chat/{session_id}", "ada"))
        for edge in (0, 1):
            assert await turned_away(world, edge, f"/ws/chat/{session_id}", "bob")
        await world.sessions.share(session_id, add=["bob"])
        for edge in (0, 1):
            async with world.connect(edge, f"/ws/chat/{session_id}?history=9", "bob") as bob:
                shown = [frame["event_type"] for frame in await bob.events(3)]
                assert shown == ["session.created", "chat.message", "session.updated"]
            async with world.connect(edge, f"/ws/chat/{session_id}", "bob", since=cursor) as bob:
                assert (await bob.event())["event_type"] == "session.updated"


async def test_with_a_session_its_sockets_end(world: World) -> None:
    session_id = await world.begun("bob")
    async with (
        world.connect(0, f"/ws/chat/{session_id}", "bob") as bob,
        world.connect(1, f"/ws/chat/{session_id}", "ada") as ada,
    ):
        await world.sessions.delete(session_id)
        await ended(bob)
        await ended(ada)


async def test_types_narrow_what_is_shown_and_members_leave_all_the_same(world: World) -> None:
    session_id = await world.begun("bob")
    for content in range(3):
        await world.say(session_id, content)
        await world.sessions.share(session_id, add=[f"user {content}"])
    for edge in (0, 1):
        path = f"/ws/chat/{session_id}?types=chat.message&history=2"
        async with world.connect(edge, path, "bob") as bob:
            assert said(await bob.events(2)) == [1, 2]
            await world.sessions.update(session_id, {"title": f"new {edge}"})
            await world.say(session_id, "live")
            assert said([await bob.event()]) == ["live"]
            await world.sessions.share(session_id, remove=["bob"])
            await world.say(session_id, "after")
            assert said(await ended(bob)) == []
        await world.sessions.share(session_id, add=["bob"])
        for content in (1, 2):
            await world.say(session_id, content)


async def test_members_may_send_and_who_is_removed_may_not(world: World) -> None:
    session_id = await world.begun("bob")
    async with (
        world.connect(0, f"/ws/chat/{session_id}", "ada") as ada,
        world.connect(1, "/ws", "bob", ledger=Many()) as bob,
    ):
        subject = f"chat.{session_id}.message"
        await tell(bob, type="send", id="1", subject=subject, payload={"content": "hi", "sender": "ada"})
        assert (await bob.next("ack"))["payload"]["id"] == "1"
        event = await ada.event()
        assert (event["payload"]["content"], event["payload"]["sender"]) == ("hi", "bob")
        await tell(bob, type="send", subject=f"chat.{session_id}.typing", payload={})
        assert (await ada.event())["event_type"] == "chat.typing"
        await world.sessions.share(session_id, remove=["bob"])
        for subject in (f"chat.{session_id}.message", f"chat.{session_id}.stop", "chat.never-was.message"):
            await tell(bob, type="send", id=subject, subject=subject, payload={"content": "x"})
            refused = (await bob.next("error"))["payload"]
            assert (refused["code"], refused["id"]) == ("not_allowed", subject)
        await tell(ada, type="send", id="2", subject=f"chat.{session_id}.message", payload={"content": "alone"})
        assert [frame["event_type"] for frame in await ada.events(2)] == ["session.updated", "chat.message"]


async def test_who_is_removed_between_the_check_and_the_joining_is_shown_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = await world.begun("bob")
    monkeypatch.setattr(Edge, "check_circle", lambda *_: None)
    for edge in (0, 1):
        assert await turned_away(world, edge, f"/ws/chat/{session_id}", "eve")
        async with event_source(world.edges[edge].port, f"/sse/chat/{session_id}", **bearer("eve")) as stream:
            await stream.ended()
        async with world.connect(edge, "/ws", "eve", ledger=Many()) as many:
            assert (await subscribe(many, session_id))["payload"]["code"] == "forbidden"
        await world.rid_of(edge, session_id)


async def test_while_the_log_has_to_be_read_nobody_is_shown_anything(world: World) -> None:
    session_id = await world.begun("bob")
    path = f"/ws/chat/{session_id}"
    async with world.connect(0, path, "bob") as bob:
        first = await world.say(session_id, "first")
        await world.say(session_id, "second")
        assert said(await bob.events(2)) == ["first", "second"]
        (topic,) = [one for one in world.edges[0].edge.topics() if one.name.endswith(session_id)]
        topic.follower.hold = Hold()
        payload = {"message_id": "m", "sender": "scout", "index": 0, "text": "perhaps not for bob any more"}
        ack = await world.mesh.publish(f"chat.{session_id}.delta", payload)
        stored = await world.mesh.log.get(SIGNALS, ack.seq)
        assert stored is not None
        topic.event(stored, None)  # as the log may give it, before a record that was stored earlier
        assert await bob.pong() == []
        async with world.connect(0, path, "bob", since=first) as late:
            assert late.hello["payload"]["recovered"] is False
            for _ in range(5):
                await world.mesh.log.bounds(SIGNALS)
                assert await late.pong() == []
            topic.follower.hold = None
            assert said([await late.event()]) == ["second"]
        await world.sessions.share(session_id, remove=["bob"])
        assert not [frame for frame in await ended(bob) if frame["event_type"] == "chat.message"]


@pytest.mark.parametrize("unsubscribes", [True, False])
async def test_who_leaves_before_it_is_known_leaves_nothing_behind(
    world: World, monkeypatch: pytest.MonkeyPatch, *, unsubscribes: bool
) -> None:
    session_id = await world.begun("bob")
    answers, ask = asyncio.Event(), SessionStore.state

    async def state(sessions: SessionStore, ident: str) -> SessionState | None:
        await answers.wait()
        return await ask(sessions, ident)

    monkeypatch.setattr(SessionStore, "state", state)
    edge = world.edges[0].edge
    async with world.connect(0, "/ws", "bob", ledger=Many()) as many:
        await tell(many, type="subscribe", topic=f"chat_{session_id}")
        assert await many.pong() == []
        if unsubscribes:
            await tell(many, type="unsubscribe", topic=f"chat_{session_id}")
            assert (await many.frame())["payload"]["status"] == "disconnected"
            await world.rid_of(0, session_id)
            assert await many.pong() == []
    await eventually(lambda: not list(edge.sockets()))
    answers.set()
    await world.rid_of(0, session_id)


async def test_a_fresh_token_keeps_what_belongs_to_its_user(world: World) -> None:
    session_id = await world.begun("bob")
    async with world.connect(0, f"/ws/chat/{session_id}", "bob") as bob:
        await tell(bob, type="auth", token=token(sub="bob"))
        assert (await bob.frame())["payload"]["status"] == "renewed"
        await tell(bob, type="auth", token=token(sub="ada"))
        assert await bob.closing() == FORBIDDEN


async def test_who_may_by_their_patterns_follow_a_topic_that_asks_nobody(world: World) -> None:
    session_id = await world.begun("root")
    async with world.connect(0, f"/ws/chat/{session_id}", "root", ">"):
        (topic,) = [one for one in world.edges[0].edge.topics() if one.name.endswith(session_id)]
        assert not isinstance(topic, GuardedTopic)


async def test_while_nats_is_away_nobody_comes_in_who_would_have_to_be_asked_for(
    shared_nats: NatsServer, world: World
) -> None:
    session_id = await world.begun("bob")
    async with NatsProxy.running(shared_nats.port) as proxy:
        for door in ("auto", Door):
            async with running_edge(proxy.url, token_key=KEY, http=door) as edge:
                alone = World(world.mesh, [edge], world.sessions)
                async with alone.connect(0, f"/ws/chat/{session_id}", "bob") as bob:
                    proxy.accepts = False
                    proxy.cut()
                    assert (await bob.next("connection"))["payload"]["status"] == "degraded"
                    for ident in (session_id, "another"):
                        status, problem = await edge.refusal(f"/ws/chat/{ident}", additional_headers=bearer("bob"))
                        assert (status, problem["status"]) == (503, 503)
                    async with event_source(edge.port, f"/sse/chat/{session_id}", **bearer("bob")) as stream:
                        assert (stream.status, stream.headers["retry-after"]) == (503, "1")
                    async with alone.connect(0, "/ws", "bob", ledger=Many()) as many:
                        error = (await subscribe(many, session_id))["payload"]
                        assert (error["code"], error["retry_after_ms"]) == ("unavailable", 1_000)
                        proxy.accepts = True
                        await bob.next("connection")

                        async def is_in(many: Client = many) -> bool:
                            return bool((await subscribe(many, session_id))["event_type"] == "connection")

                        async with within(20):
                            await eventually(is_in)
