"""Somebody is added to a session, and comes in before their edge hears of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from websockets.exceptions import ConnectionClosed, InvalidStatus

from daena_mesh.embedded import NatsServer
from daena_mesh.errors import MeshUnavailable
from daena_mesh.sessions import SessionState, SessionStore
from mesh_edge import guarded, lobby
from mesh_edge.door import Door
from mesh_edge.guarded import GuardedTopic
from tests.integration.test_edge_members import Many, World, bearer, ended, said, subscribe, tell
from tests.support.deadlines import WITHIN_S, eventually, within
from tests.support.edge import provisioned_mesh, running_edge
from tests.support.event_source import EventSource, event_source
from tests.support.proxy import NatsProxy
from tests.support.tokens import KEY
from tests.support.ws_client import Client

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.promise("P-MEMBERS-2")]

WAYS = ("handshake", "late token", "many", "stream")
_VERDICTS = {403: "forbidden", 503: "unavailable", 4403: "forbidden", 1012: "unavailable"}


class Late(Client):
    """Shows its token in its first message."""

    def __init__(self, url: str, shown: str) -> None:
        super().__init__(url)
        self._shown = shown

    async def frame(self, within_s: float = WITHIN_S) -> dict[str, Any]:
        """Give the next frame, once it has shown it."""
        shown, self._shown = self._shown, ""
        if shown:
            await tell(self, type="auth", token=shown)
        return await super().frame(within_s)


class Remote(NamedTuple):
    """Two edges that hear of NATS through a proxy; who writes does not."""

    world: World
    proxy: NatsProxy
    stack: AsyncExitStack

    @contextmanager
    def unheard(self, *subjects: bytes, is_lost: bool = True) -> Iterator[None]:
        """Let nothing come to the edges whose subject begins with one of these, or only once this ends."""
        if is_lost:
            self.proxy.loses = lambda subject: subject.startswith(subjects)
        else:
            self.proxy.holds = lambda subject: subject.startswith(subjects)
        try:
            yield
        finally:
            self.proxy.loses = None
            self.proxy.release()

    async def come(self, edge: int, way: str, session_id: str, user: str) -> Client | EventSource | str:
        """Ask to follow a session; gives who follows it now, or why not."""
        world, stack, path = self.world, self.stack, f"/ws/chat/{session_id}"
        if way == "stream":
            opening = event_source(world.edges[edge].port, f"/sse/chat/{session_id}", **bearer(user))
            stream = await stack.enter_async_context(opening)
            if stream.status != 200:
                return _VERDICTS[stream.status]
            assert (await stream.frame())["event_type"] == "connection"
            return stream
        if way == "many":
            many = await stack.enter_async_context(world.connect(edge, "/ws", user, ledger=Many()))
            word = await subscribe(many, session_id)
            return many if word["event_type"] == "connection" else str(word["payload"]["code"])
        client = world.connect(edge, path, user)
        if way == "late token":
            client = Late(f"ws://127.0.0.1:{world.edges[edge].port}{path}", bearer(user)["Authorization"][7:])
        try:
            return await stack.enter_async_context(client)
        except InvalidStatus as refused:
            return _VERDICTS[refused.response.status_code]
        except ConnectionClosed as closed:
            return _VERDICTS[closed.rcvd.code if closed.rcvd else 1006]

    async def follow(self, edge: int, way: str, session_id: str, user: str) -> Client | EventSource:
        """The same for who must be let in."""
        client = await self.come(edge, way, session_id, user)
        assert not isinstance(client, str), f"{user} by {way} on {edge}: {client}"
        return client

    def topics(self, edge: int, session_id: str) -> list[GuardedTopic]:
        topics = self.world.edges[edge].edge.topics()
        return [topic for topic in topics if isinstance(topic, GuardedTopic) and topic.name.endswith(session_id)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edges(shared_nats: NatsServer) -> AsyncIterator[tuple[World, NatsProxy]]:
    """Give two edges that find no loss by themselves."""
    async with (
        NatsProxy.running(shared_nats.port) as proxy,
        provisioned_mesh(shared_nats.url) as mesh,
        running_edge(proxy.url, token_key=KEY, audit_s=600) as route,
        running_edge(proxy.url, token_key=KEY, audit_s=600, http=Door) as lean,
    ):
        yield World(mesh, [route, lean], SessionStore(mesh)), proxy


@pytest_asyncio.fixture(loop_scope="module")
async def remote(edges: tuple[World, NatsProxy]) -> AsyncIterator[Remote]:
    async with AsyncExitStack() as stack:
        yield Remote(*edges, stack)


@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "late"])
@pytest.mark.parametrize("edge", [0, 1])
async def test_who_is_added_comes_in_by_every_way_before_the_edge_hears_of_it(
    remote: Remote, edge: int, *, is_lost: bool
) -> None:
    sessions, session_id = remote.world.sessions, await remote.world.begun()
    guests = [await remote.follow(edge, way, session_id, "ada") for way in ("handshake", "stream")]
    with remote.unheard(b"live.session.", is_lost=is_lost):
        for way in WAYS:
            assert await remote.come(edge, way, session_id, way) == "forbidden"
            await sessions.share(session_id, add=[way])
            guests.append(await remote.follow(edge, way, session_id, way))
            assert await remote.come(edge, way, session_id, "eve") == "forbidden"
    await sessions.update(session_id, {"title": "heard"})  # so what was not is read from the log, the older ones first
    await remote.world.say(session_id, "hello")
    for guest in guests:
        shown = await guest.events(len(WAYS) + 2)
        assert [frame["event_type"] for frame in shown] == [*["session.updated"] * (len(WAYS) + 1), "chat.message"]
        members = [frame["payload"]["session"]["members"] for frame in shown[:-1]]
        assert members == [list(WAYS[: count + 1]) for count in range(len(WAYS))] + [list(WAYS)]


async def test_who_is_added_may_send_before_the_edge_hears_of_it(remote: Remote) -> None:
    session_id = await remote.world.begun()
    message = {"type": "send", "id": "1", "subject": f"chat.{session_id}.message", "payload": {"content": "x"}}
    for edge in (0, 1):
        await remote.follow(edge, "handshake", session_id, "ada")
        async with remote.world.connect(edge, "/ws", f"user {edge}", ledger=Many()) as client:
            await tell(client, **message)
            assert (await client.next("error"))["payload"]["code"] == "not_allowed"
            with remote.unheard(b"live.session."):
                await remote.world.sessions.share(session_id, add=[f"user {edge}"])
                await tell(client, **message)
                assert (await client.next("ack"))["payload"]["id"] == "1"


@pytest.mark.parametrize("edge", [0, 1])
async def test_who_is_removed_by_what_the_leader_knows_is_shown_all_that_was_before(remote: Remote, edge: int) -> None:
    sessions, session_id = remote.world.sessions, await remote.world.begun("carol")
    carol, ada = [await remote.follow(edge, "handshake", session_id, user) for user in ("carol", "ada")]
    assert isinstance(carol, Client)
    with remote.unheard(b"live.", is_lost=False):
        await remote.world.say(session_id, "hers too")
        await sessions.share(session_id, remove=["carol"])
        await sessions.share(session_id, add=["bob"])
        bob = await remote.follow(edge, "handshake", session_id, "bob")
        assert await carol.pong() == []
    await remote.world.say(session_id, "after")
    assert said(await ended(carol)) == ["hers too"]
    for client in (ada, bob):
        shown = await client.events(4)
        assert said(shown) == ["hers too", "after"]
        assert [frame["event_type"] for frame in shown[1:3]] == ["session.updated"] * 2
    assert await remote.come(edge, "handshake", session_id, "carol") == "forbidden"


@pytest.mark.parametrize("is_followed", [True, False])
@pytest.mark.parametrize("edge", [0, 1])
async def test_a_crowd_of_strangers_has_one_question_asked_and_an_older_one_counts_for_nobody(
    remote: Remote, monkeypatch: pytest.MonkeyPatch, edge: int, *, is_followed: bool
) -> None:
    session_id = await remote.world.begun()
    if is_followed:
        await remote.follow(edge, "handshake", session_id, "ada")
    answers, ask, asked = asyncio.Event(), SessionStore.state, list[str]()
    for module in (guarded, lobby):
        monkeypatch.setattr(module, "OPENS_WITHIN_S", 60)

    async def state(sessions: SessionStore, ident: str) -> SessionState | None:
        answer = await ask(sessions, ident)
        asked.append(ident)
        await answers.wait()
        return answer

    async def come(way: str, user: str) -> Client | EventSource | str:
        return await remote.come(edge, way, session_id, user)

    monkeypatch.setattr(SessionStore, "state", state)
    with remote.unheard(b"live.session."):
        async with within(), asyncio.TaskGroup() as group:
            first = group.create_task(come("handshake", "eve"))
            await eventually(lambda: len(asked) == 1)
            (topic,) = remote.topics(edge, session_id)
            await remote.world.sessions.share(session_id, add=["bob"])
            crowd = [group.create_task(come(way, "eve")) for way in ("handshake", "late token", "many") * 3]
            bob = group.create_task(come("handshake", "bob"))
            await eventually(lambda: len(topic.keeper._knocks) == 11)
            assert len(asked) == 1
            answers.set()
    assert not isinstance(bob.result(), str)
    assert {task.result() for task in (first, *crowd)} == {"forbidden"}
    assert len(asked) == 2


async def test_while_nothing_is_answered_nobody_is_turned_away_for_good(remote: Remote) -> None:
    session_id = await remote.world.begun()
    for edge in (0, 1):
        for way in ("handshake", "stream"):
            await remote.follow(edge, way, session_id, "ada")
    many = await remote.stack.enter_async_context(remote.world.connect(0, "/ws", "bob", ledger=Many()))
    knocks = [(edge, way, session_id) for edge in (0, 1) for way in WAYS]
    with remote.unheard(b"_INBOX.", b"live.session."):
        await remote.world.sessions.share(session_id, add=["bob"])
        await tell(many, type="send", id="1", subject=f"chat.{session_id}.message", payload={"content": "x"})
        async with within():
            answers = await asyncio.gather(*(remote.come(*knock, user) for knock in knocks for user in ("bob", "eve")))
        assert set(answers) == {"unavailable"}
        refused = (await many.next("error"))["payload"]
        assert (refused["code"], refused["retry_after_ms"]) == ("not_stored", 1_000)

    async def is_decided(edge: int, way: str, session_id: str) -> bool:
        answer = await remote.come(edge, way, session_id, "eve")
        assert answer in {"unavailable", "forbidden"}
        return answer == "forbidden"

    for knock in knocks:
        await eventually(lambda knock=knock: is_decided(*knock))  # type: ignore[misc]
        await remote.follow(*knock, "bob")


@pytest.mark.parametrize("error", [MeshUnavailable, TimeoutError, RuntimeError, None])
async def test_a_question_that_fails_turns_nobody_away_for_good_and_disturbs_no_reader(
    remote: Remote, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: type[Exception] | None
) -> None:
    session_id = await remote.world.begun("bob")
    adas = [await remote.follow(edge, way, session_id, "ada") for edge in (0, 1) for way in ("handshake", "stream")]
    asked: list[str] = []

    async def state(_sessions: SessionStore, ident: str) -> SessionState | None:
        asked.append(ident)
        if error is None:
            await asyncio.Event().wait()
            raise AssertionError
        raise error("no leader")

    with monkeypatch.context() as patch:
        patch.setattr(SessionStore, "state", state)
        if error is None:
            patch.setattr(guarded, "OPENS_WITHIN_S", 0.05)
        for edge in (0, 1):
            for way in WAYS:
                assert await remote.come(edge, way, session_id, "eve") == "unavailable"
                for topic in remote.topics(edge, session_id):
                    assert topic.catch_up.is_idle  # no topic is at rest: as while somebody is served from the log
                await remote.follow(edge, way, session_id, "bob")
    assert asked == [session_id] * 2 * len(WAYS)
    assert [record.levelname for record in caplog.records if record.levelno >= logging.WARNING] == (
        ["ERROR"] * len(asked) if error is RuntimeError else []
    )
    await remote.world.say(session_id, "goes on")
    for ada in adas:
        assert said([await ada.frame()]) == ["goes on"]
    for edge in (0, 1):
        for way in WAYS:
            assert await remote.come(edge, way, session_id, "eve") == "forbidden"
