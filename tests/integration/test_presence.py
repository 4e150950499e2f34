"""Who is on a topic, over two edges: told once for each user and topic, and read from the bucket at any time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest
import pytest_asyncio

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from daena_mesh.errors import Conflict, MeshUnavailable
from daena_mesh.presence import Step
from daena_mesh.provisioning import provision
from daena_mesh.rosters import ALIVE, Rosters
from daena_mesh.stored import Stored
from daena_mesh.sweeping import Sweeper
from daena_mesh.tokens import Claims, Rights, mint
from tests.support.api import Api, running_api
from tests.support.deadlines import eventually, within
from tests.support.edge import RunningEdge, running_edge
from tests.support.proxy import NatsProxy
from tests.support.ws_client import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")
LINGER_S = 0.3


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(shared_nats: NatsServer) -> AsyncIterator[Api]:
    async with running_api(shared_nats.url) as api:
        yield api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edges(shared_nats: NatsServer, api: Api) -> AsyncIterator[tuple[RunningEdge, RunningEdge]]:
    await api.ready()  # it makes the bucket
    async with (
        running_edge(shared_nats.url, edge_id="one", presence_linger_s=LINGER_S) as one,
        running_edge(shared_nats.url, edge_id="two", presence_linger_s=LINGER_S) as two,
    ):
        yield one, two


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Edges that are made from here on are taken for dead after a moment."""
    monkeypatch.setattr("daena_mesh.sweeping.DEAD_AFTER_S", 2.0)
    monkeypatch.setattr("daena_mesh.sweeping._PAUSE_S", 0.1)
    monkeypatch.setattr("mesh_edge.presence._RENEW_S", 0.2)
    monkeypatch.setattr("mesh_edge.presence._VALID_S", 1.0)


class Told:
    """What the mesh tells of one topic."""

    def __init__(self, mesh: Mesh, topic: str) -> None:
        self.steps: list[tuple[str, str, int]] = []
        self._mesh = mesh
        self._topic = topic

    async def __aenter__(self) -> Self:
        self._feed = self._mesh.subscribe(f"presence.{self._topic}.*")
        await self._feed.__aenter__()
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        await self._feed.__aexit__(None, None, None)

    async def _listen(self) -> None:
        async for event in self._feed:
            payload = event.payload  # type: ignore[union-attr]
            assert payload["topic"] == self._topic
            self.steps.append((event.event_type.partition(".")[2], payload["who"], payload["count"]))  # type: ignore[union-attr]

    async def until(self, *steps: tuple[str, str, int]) -> None:
        """Wait until all of ``steps`` were told; nothing else may have been."""
        await eventually(lambda: len(self.steps) >= len(steps))
        assert self.steps == list(steps)


async def users(api: Api, topic: str) -> list[str]:
    answer = (await api.client.get(f"/api/v1/presence/{topic}")).json()
    assert answer["topic"] == topic
    assert answer["count"] == len(answer["users"])
    return [user["who"] for user in answer["users"]]


async def settled(*running: RunningEdge) -> None:
    """Wait until the edges have written all there is to write."""

    def is_settled() -> bool:
        presences = [edge.edge.presence for edge in running]
        return not any(presence._changed or presence._wake.is_set() or presence._leaving for presence in presences)

    await eventually(is_settled)


@contextlib.asynccontextmanager
async def on(edge: RunningEdge, topic: str, who: str) -> AsyncIterator[Client]:
    async with edge.connect(f"/ws/chat/{topic.removeprefix('chat_')}?who={who}") as client:
        yield client


@pytest.mark.promise("P-PRESENCE-1")
async def test_a_user_comes_with_the_first_socket_and_goes_after_the_last_over_all_edges(
    edges: tuple[RunningEdge, RunningEdge], api: Api
) -> None:
    one, two = edges
    async with Told(api.mesh, "chat_a1") as told, one.connect("/ws/events") as watching:
        async with on(one, "chat_a1", "ada"):
            await told.until(("join", "ada", 1))
            async with on(two, "chat_a1", "bob"), on(two, "chat_a1", "ada"), on(one, "chat_a1", "ada"):
                await told.until(("join", "ada", 1), ("join", "bob", 2))
                assert await users(api, "chat_a1") == ["ada", "bob"]
                assert await users(api, "chat_a2") == []
            await told.until(("join", "ada", 1), ("join", "bob", 2), ("leave", "bob", 1))
            assert await users(api, "chat_a1") == ["ada"]
        await told.until(("join", "ada", 1), ("join", "bob", 2), ("leave", "bob", 1), ("leave", "ada", 0))
        assert await users(api, "chat_a1") == []
        joined = await watching.event()
        assert (joined["subject"], joined["topic"]) == ("presence.chat_a1.join", "events")


async def test_who_has_no_name_is_not_announced_and_costs_nothing(
    shared_nats: NatsServer, edges: tuple[RunningEdge, RunningEdge], api: Api
) -> None:
    one, _ = edges
    async with running_edge(shared_nats.url, open_loopback=False) as closed, Told(api.mesh, "chat_b1") as told:
        async with (
            one.connect("/ws/chat/b1"),
            closed.connect("/ws/chat/b1?who=ada", origin=f"http://127.0.0.1:{closed.port}"),
        ):
            for edge in (one, closed):
                assert "chat_b1" not in edge.edge.presence._rooms
                assert not edge.edge.presence._changed
            assert await users(api, "chat_b1") == []
        assert told.steps == []
    status, problem = await one.refusal("/ws/chat/b1?who=a%0Ab")
    assert status == 400
    assert "who" in problem["detail"]


async def test_with_tokens_who_is_present_is_who_the_token_says(shared_nats: NatsServer, api: Api) -> None:
    key = "a key of 32 bytes at the very least"
    rights = Rights(read=("chat.t1.>", "session.t1.>"), write=("chat.t1.message",))
    token = mint(Claims(sub="ada@example.org", exp=time.time() + 600, mesh=rights), key.encode())
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        running_edge(shared_nats.url, token_key=key) as strict,
        Told(api.mesh, "chat_t1") as told,
        strict.connect("/ws/chat/t1?who=eve", additional_headers=headers) as client,
    ):
        await told.until(("join", "ada@example.org", 1))
        send = '{"type":"send","id":"1","subject":"chat.%s.message","payload":{"sender":"eve","content":"hi"}}'
        await client.ws.send(send % "t1")
        assert (await client.next("chat.message"))["payload"]["sender"] == "ada@example.org"
        await client.ws.send(send % "t2")
        assert (await client.next("error"))["payload"]["code"] == "not_allowed"


async def test_many_that_come_to_both_edges_at_once_are_told_once_each(
    edges: tuple[RunningEdge, RunningEdge], api: Api
) -> None:
    names = [f"u{number}" for number in range(12)]
    async with Told(api.mesh, "chat_c1") as told, contextlib.AsyncExitStack() as stack:
        arriving = [on(edge, "chat_c1", name) for name in names for edge in edges]
        random.Random(3).shuffle(arriving)
        await asyncio.gather(*map(stack.enter_async_context, arriving))
        await eventually(lambda: len(told.steps) == len(names))
        await settled(*edges)
        assert sorted(await users(api, "chat_c1")) == sorted(names)
        assert Counter(who for _, who, _ in told.steps) == Counter(names)
        assert sorted(count for _, _, count in told.steps) == list(range(1, len(names) + 1))
        await stack.aclose()
        await eventually(lambda: len(told.steps) == 2 * len(names))
        await settled(*edges)
        assert Counter(who for what, who, _ in told.steps if what == "leave") == Counter(names)
        assert len(told.steps) == 2 * len(names)
        assert await users(api, "chat_c1") == []


def has_told(edge: RunningEdge, topic: str, who: str) -> bool:
    """Whether an edge has written that somebody is there."""
    return who in edge.edge.presence._told.get(topic, ())


def has_left(edge: RunningEdge, topic: str, who: str) -> bool:
    """Whether somebody lingers who has no socket any more."""
    return edge.edge.presence._rooms[topic].users[who] == 0


def let_linger_end(edge: RunningEdge) -> None:
    """Have an edge tell of all who have left, as if their time were over."""
    presence = edge.edge.presence
    assert presence._timer is not None
    presence._timer.cancel()
    presence._leaving = deque((0.0, topic, who) for _, topic, who in presence._leaving)
    presence._leave()


async def test_a_page_that_is_loaded_anew_and_a_user_who_changes_edges_do_not_leave(
    edges: tuple[RunningEdge, RunningEdge], api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = edges
    for edge in edges:  # whoever comes back does so in time, on whatever machine
        monkeypatch.setattr(edge.edge.presence, "_linger_s", 600.0)
    async with Told(api.mesh, "chat_d1") as told:
        for edge in (one, one, two, one, two):
            async with on(edge, "chat_d1", "ada"):
                await eventually(partial(has_told, edge, "chat_d1", "ada"))
            await eventually(partial(has_left, edge, "chat_d1", "ada"))
        await told.until(("join", "ada", 1))
        for edge in edges:
            let_linger_end(edge)
        await told.until(("join", "ada", 1), ("leave", "ada", 0))


async def test_an_api_that_just_started_knows_who_is_there(
    shared_nats: NatsServer, edges: tuple[RunningEdge, RunningEdge]
) -> None:
    one, two = edges
    async with on(one, "chat_e1", "ada"):
        await settled(one)  # a stay begins when it is told, or they would be in any order
        async with on(two, "chat_e1", "bob"), running_api(shared_nats.url) as fresh:
            await settled(two)
            assert await users(fresh, "chat_e1") == ["ada", "bob"]
            answer = (await fresh.client.get("/api/v1/presence/chat_e1")).json()
            assert all(user["since"].startswith("20") for user in answer["users"])


@pytest.mark.parametrize("topic", ["chat_*", "a.b", "x" * 81, "chat s1", "%3E"])
async def test_a_topic_that_can_be_none_is_refused(api: Api, topic: str) -> None:
    answer = await api.client.get(f"/api/v1/presence/{topic}")
    assert answer.status_code == 422
    assert answer.json()["type"].endswith("invalid-id")


async def test_a_lost_bucket_is_written_again_and_nobody_has_left(
    edges: tuple[RunningEdge, RunningEdge], api: Api
) -> None:
    one, two = edges
    async with Told(api.mesh, "chat_f1") as told, on(one, "chat_f1", "ada"), on(two, "chat_f1", "bob"):
        await eventually(lambda: len(told.steps) == 2)
        await settled(one, two)
        reply = await api.mesh.connection.request("$JS.API.STREAM.DELETE.KV_PRESENCE", b"", timeout_s=2)
        assert msgspec.json.decode(reply.body)["success"]
        await provision(api.mesh.connection, api.mesh.layout, api.mesh.settings)
        assert await users(api, "chat_f1") == []

        async def all_back() -> bool:
            return sorted(await users(api, "chat_f1")) == ["ada", "bob"]

        await eventually(all_back)
        async with on(one, "chat_f1", "cid"):
            await eventually(lambda: len(told.steps) == 3)
        assert told.steps[2] == ("join", "cid", 3)


@pytest.mark.usefixtures("hasty")
async def test_an_edge_that_slept_and_was_taken_for_dead_announces_its_users_again(
    shared_nats: NatsServer, api: Api
) -> None:
    async with (
        NatsProxy.running(shared_nats.port) as proxy,
        running_edge(proxy.url, edge_id="sleepy") as sleepy,
        running_edge(shared_nats.url, edge_id="awake") as awake,
        Told(api.mesh, "chat_g1") as told,
        on(sleepy, "chat_g1", "ada"),
        on(sleepy, "chat_g1", "bob"),
        on(awake, "chat_g1", "bob"),
    ):
        await eventually(lambda: len(told.steps) == 2)
        proxy.freeze()
        await eventually(lambda: ("leave", "ada", 1) in told.steps)
        await eventually(lambda: ("join", "ada", 2) in told.steps)
        assert Counter(step[:2] for step in told.steps) == {("join", "ada"): 2, ("join", "bob"): 1, ("leave", "ada"): 1}
        assert sorted(await users(api, "chat_g1")) == ["ada", "bob"]


async def test_an_edge_that_renews_its_lease_in_time_is_not_reaped(api: Api) -> None:
    async with Told(api.mesh, "chat_j1") as told:
        rosters = Rosters(api.mesh)
        sweeper = Sweeper(rosters, api.mesh.connection)
        seen = await rosters.write_lease("j-edge", ALIVE, 0)
        await rosters.change("chat_j1", "j-edge", lambda: ["ada"], {})
        renewed = await rosters.write_lease("j-edge", ALIVE, seen)
        with pytest.raises(Conflict):
            await sweeper._reap("j-edge", seen)
        assert await users(api, "chat_j1") == ["ada"]
        await sweeper._reap("j-edge", renewed)
        with pytest.raises(Conflict):
            await rosters.write_lease("j-edge", ALIVE, renewed)
        assert await users(api, "chat_j1") == []
        await told.until(("join", "ada", 1), ("leave", "ada", 0))


async def test_the_users_of_an_edge_that_is_stopped_are_on_their_way_and_have_not_left(
    shared_nats: NatsServer, edges: tuple[RunningEdge, RunningEdge], api: Api
) -> None:
    async with (
        running_edge(shared_nats.url, presence_linger_s=0, drain_s=0.1) as stopping,
        Told(api.mesh, "chat_k1") as told,
        on(stopping, "chat_k1", "ada") as client,
    ):
        await told.until(("join", "ada", 1))
        await settled(stopping)
        draining = asyncio.create_task(stopping.edge.drain())
        assert (await client.closing())[0] == 1012
        async with on(edges[0], "chat_k1", "ada"):
            await draining
            await settled(edges[0], stopping)
            assert await users(api, "chat_k1") == ["ada"]
            assert not stopping.edge.presence._changed
            assert told.steps == [("join", "ada", 1)]


@pytest.mark.usefixtures("hasty")
async def test_nats_restarts_and_nobody_has_left(tmp_path: Path) -> None:
    server = await NatsServer.start(tmp_path, port=0)
    try:
        async with (
            within(50),
            running_api(server.url) as api,
            running_edge(server.url) as edge,
            Told(api.mesh, "chat_h1") as told,
            on(edge, "chat_h1", "ada"),
        ):
            await told.until(("join", "ada", 1))
            await settled(edge)
            await server.stop()
            async with on(edge, "chat_h1", "bob"):
                server = await NatsServer.start(tmp_path, port=server.port)
                await eventually(lambda: len(told.steps) == 2, within_s=20)
                assert told.steps[1] == ("join", "bob", 2)
                assert await users(api, "chat_h1") == ["ada", "bob"]
    finally:
        await server.stop()


async def test_what_could_not_be_acknowledged_is_told_once_all_the_same(
    api: Api,
) -> None:
    """A roster is written and its acknowledgement lost; whoever tries again tells what is owed."""
    async with Told(api.mesh, "chat_i1") as told:
        rosters = Rosters(api.mesh)
        write = rosters._write

        async def deaf(*arguments: Any) -> int:
            await write(*arguments)
            raise TimeoutError

        rosters._write = deaf  # type: ignore[assignment, method-assign]
        with pytest.raises(TimeoutError):
            await rosters.change("chat_i1", "e", lambda: ["ada"], {})
        rosters._write = write  # type: ignore[method-assign]
        assert told.steps == []
        for _ in range(2):
            roster = await rosters.change("chat_i1", "e", lambda: ["ada"], {})
            await rosters._tell("chat_i1", (Step("presence.join", "ada", roster["ada"], 1),))
        assert await rosters.change("chat_i1", "e", tuple, {}) == {}
        await told.until(("join", "ada", 1), ("leave", "ada", 0))


async def test_what_an_edge_wrote_and_could_not_tell_is_told_before_what_comes_after_it(api: Api) -> None:
    one, two = Rosters(api.mesh), Rosters(api.mesh)

    async def mute(*_: Any) -> None:
        raise MeshUnavailable("cut off")

    async with Told(api.mesh, "chat_l1") as told:
        await one.change("chat_l1", "e1", lambda: ["ada", "bob"], {})
        tell = one._tell
        one._tell = mute  # type: ignore[assignment, method-assign]
        with pytest.raises(MeshUnavailable):
            await one.change("chat_l1", "e1", lambda: ["bob"], {})
        assert len(told.steps) == 2
        await two.change("chat_l1", "e2", lambda: ["ada"], {})
        one._tell = tell  # type: ignore[method-assign]
        await one.change("chat_l1", "e1", tuple, {})
        steps = [("join", "ada", 1), ("join", "bob", 2), ("leave", "ada", 1), ("join", "ada", 2), ("leave", "bob", 1)]
        await told.until(*steps)


async def lose(api: Api, topic: str) -> None:
    """Have the log lose the rosters of a topic."""
    body = json.dumps({"filter": f"$KV.PRESENCE.topic.{topic}.*"}).encode()
    await api.mesh.connection.request("$JS.API.STREAM.PURGE.KV_PRESENCE", body, timeout_s=5)


async def test_who_is_alone_on_a_topic_reads_no_roster_and_notices_who_comes_and_what_is_lost(api: Api) -> None:
    topic, reads = "chat_n1", 0
    mine, theirs = Rosters(api.mesh), Rosters(api.mesh)
    read = mine._all

    async def counted(pattern: str) -> list[Stored]:
        nonlocal reads
        reads += 1
        return await read(pattern)

    mine._all = counted  # type: ignore[method-assign]
    async with Told(api.mesh, topic) as told:
        roster = await mine.change(topic, "mine", lambda: ["ada"], {})
        roster = await mine.change(topic, "mine", lambda: ["ada", "bob"], roster)
        assert reads == 1
        assert await mine.change(topic, "mine", lambda: ["ada", "bob"], roster) == roster
        assert reads == 2, "who asks for nothing new is told what the log has"
        await mine.change(topic, "mine", lambda: ["ada", "bob", "cem"], roster)
        await theirs.change(topic, "theirs", lambda: ["eve"], {})
        roster = await mine.change(topic, "mine", lambda: ["ada", "cem", "dan"], roster)
        assert reads == 4, "somebody else had written"
        await theirs.change(topic, "theirs", tuple, {})
        assert (await mine.read(topic))[0] == {"mine": roster, "theirs": {}}
        steps = [("join", who, count) for count, who in enumerate(("ada", "bob", "cem", "eve"), 1)]
        await told.until(*steps, ("leave", "bob", 3), ("join", "dan", 4), ("leave", "eve", 3))
        await lose(api, topic)
        roster = await mine.change(topic, "mine", lambda: ["ada", "cem", "dan", "fay"], roster)
        await lose(api, topic)
        roster = await mine.change(topic, "mine", lambda: ["ada", "fay", "gus"], roster)
        assert (await mine.read(topic))[0] == {"mine": roster}
        assert roster.keys() == {"ada", "fay", "gus"}


async def test_what_a_dead_edge_had_written_and_not_told_is_told_when_it_is_found(api: Api) -> None:
    dead, finder = Rosters(api.mesh), Rosters(api.mesh)

    async def mute(*_: Any) -> None:
        raise MeshUnavailable("killed")

    async with Told(api.mesh, "chat_m1") as told:
        dead._tell = mute  # type: ignore[assignment, method-assign]
        with pytest.raises(MeshUnavailable):
            await dead.change("chat_m1", "m-edge", lambda: ["ada"], {})
        await Sweeper(finder, api.mesh.connection).remove("m-edge")
        await told.until(("join", "ada", 1), ("leave", "ada", 0))
