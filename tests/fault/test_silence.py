"""An agent falls silent: it is told as offline once, whatever the number of APIs and whichever of them die."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from daena_mesh.embedded import NatsServer
from daena_mesh.errors import MeshUnavailable
from daena_mesh.ids import now
from daena_mesh.log import Log
from mesh_api.silence import Silence
from tests.support.api import Api, running_api
from tests.support.deadlines import eventually, within
from tests.support.hand_agent import HandAgent
from tests.support.meshes import running
from tests.support.proxy import NatsProxy
from tests.support.told import statuses, told

SOON_S = 1.0


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have APIs wait for a second and look ten times in it, so that a silence is found before the test is old."""
    given = Silence.__init__
    monkeypatch.setattr(Silence, "__init__", lambda *args, **_: given(*args, after_s=SOON_S))
    monkeypatch.setattr("mesh_api.silence._PAUSE_S", SOON_S / 10)
    monkeypatch.setattr("mesh_api.silence._ASLEEP_S", 10 * SOON_S)


@asynccontextmanager
async def beating(agent: HandAgent, *, every_s: float = SOON_S / 5, **more: Any) -> AsyncIterator[None]:
    """Have an agent's heart beat for a block."""

    async def beat() -> None:
        while True:
            await agent.beat(**more)
            await asyncio.sleep(every_s)

    await agent.beat(**more)
    heart = asyncio.create_task(beat())
    try:
        yield
    finally:
        heart.cancel()
        await asyncio.gather(heart, return_exceptions=True)


async def follower_of(agent: HandAgent) -> HandAgent:
    """Begin another process of its name, later than anything it said."""
    said = now()
    await eventually(lambda: now() > said)
    return HandAgent(agent.mesh, agent.name)


def ends_with(api: Api, name: str, *wanted: str) -> Callable[[], Any]:
    async def check() -> bool:
        return await statuses(api, name) == list(wanted)

    return check


async def looked(*apis: Api) -> None:
    """Wait until each API has looked for silence long enough to find one."""
    began = asyncio.get_running_loop().time()
    await eventually(lambda: all(api.context.silence._looked > began + 2 * SOON_S for api in apis))


@pytest.mark.promise("P-SILENCE-1")
async def test_two_apis_tell_of_a_silence_once_and_that_its_tasks_failed(nats_server: NatsServer, soon: None) -> None:
    async with within(50), running_api(nats_server.url) as one, running_api(nats_server.url) as two:
        scout = HandAgent(one.mesh, "scout", instance="i1")
        async with beating(scout):
            await scout.say("busy")
            await scout.update("t1", title="Index", progress={"done": 3, "total": 10})
            await scout.update("t2", "completed")
            await looked(one, two)
            assert await statuses(one, "scout") == ["busy"], "it lives"
        await eventually(ends_with(one, "scout", "busy", "offline"))
        await looked(one, two)
        status = await told(one, "agent.scout.status")
        assert status[1:] == [{"agent_id": "scout", "status": "offline", "instance": "i1", "reason": "silent"}]
        assert await told(one, "task.t1.update.scout") == [
            {
                "task_id": "t1",
                "agent_id": "scout",
                "status": "running",
                "title": "Index",
                "progress": {"done": 3, "total": 10},
            },
            {
                "task_id": "t1",
                "agent_id": "scout",
                "title": "Index",
                "status": "failed",
                "progress": {"done": 3, "total": 10},
                "reason": "the agent is gone",
            },
        ]
        assert len(await told(one, "task.t2.update.scout")) == 1
        assert one.context.silence.told + two.context.silence.told == 1
        for api in (one, two):
            agent = (await api.client.get("/api/v1/agents/scout")).json()
            assert (agent["status"], agent["reason"], agent["tasks"]) == ("offline", "silent", [])


@pytest.mark.promise("P-SILENCE-1")
async def test_an_api_that_begins_later_finds_who_fell_silent_before(nats_server: NatsServer, soon: None) -> None:
    async with running(nats_server.url) as mesh, within(50):
        scout = HandAgent(mesh, "scout")
        await scout.beat()
        await scout.say("online")
        await scout.update("t1")
        gone = HandAgent(mesh, "gone")  # its heartbeat has expired already
        await gone.say("busy")
        async with running_api(nats_server.url) as api:
            for name, before in (("scout", "online"), ("gone", "busy")):
                await eventually(ends_with(api, name, before, "offline"))
            assert [update["status"] for update in await told(api, "task.t1.update.scout")] == ["running", "failed"]
        async with running_api(nats_server.url) as api:
            await looked(api)
            for name, before in (("scout", "online"), ("gone", "busy")):
                assert await statuses(api, name) == [before, "offline"]


@pytest.mark.promise("P-SILENCE-1")
async def test_an_api_that_dies_between_what_it_tells_leaves_the_rest_to_the_next(
    nats_server: NatsServer, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Log.append
    written: list[str] = []

    async def dies(self: Log, subject: str, *args: Any, **more: Any) -> Any:
        if written and more.get("expect_last"):
            raise MeshUnavailable("the process is gone")
        if more.get("expect_last"):
            written.append(subject)
        return await append(self, subject, *args, **more)

    async with running(nats_server.url) as mesh, within(50):
        scout = HandAgent(mesh, "scout")
        await scout.beat()
        await scout.say("online")
        for task in ("t1", "t2"):
            await scout.update(task)
        with monkeypatch.context() as patch:
            patch.setattr(Log, "append", dies)
            async with running_api(nats_server.url) as api:
                await eventually(lambda: written)
                assert await statuses(api, "scout") == ["online"]
        async with running_api(nats_server.url) as api:
            await eventually(ends_with(api, "scout", "online", "offline"))
            for task in ("t1", "t2"):
                updates = await told(api, f"task.{task}.update.scout")
                assert [update["status"] for update in updates] == ["running", "failed"]


@pytest.mark.promise("P-SILENCE-2")
async def test_one_that_comes_back_is_online_and_can_fall_silent_again(nats_server: NatsServer, soon: None) -> None:
    async with within(50), running_api(nats_server.url) as one, running_api(nats_server.url) as two:
        scout = HandAgent(one.mesh, "scout")
        await scout.beat()
        await scout.say("online")
        await eventually(ends_with(one, "scout", "online", "offline"))
        async with beating(scout):

            async def is_online() -> bool:
                agents = [(await api.client.get("/api/v1/agents/scout")).json() for api in (one, two)]
                return all(agent["status"] == "online" for agent in agents)

            await eventually(is_online)  # by its heartbeat alone
            await scout.say("online")
            await looked(one, two)
            assert await statuses(one, "scout") == ["online", "offline", "online"]
        # Within the time in which the stream knows equal ids, under the same instance.
        await eventually(ends_with(one, "scout", "online", "offline", "online", "offline"))
        await looked(one, two)
        assert await statuses(one, "scout") == ["online", "offline", "online", "offline"]


@pytest.mark.promise("P-SILENCE-2")
async def test_who_says_offline_itself_and_who_never_had_a_heart_are_left_alone(
    nats_server: NatsServer, soon: None
) -> None:
    async with within(50), running_api(nats_server.url) as api:
        polite = HandAgent(api.mesh, "polite")
        await polite.beat()
        await polite.say("online")
        await polite.update("left-open")
        await polite.say("offline")
        await polite.beat("offline")
        await api.mesh.publish("agent.by-hand.status", {"status": "online"})
        await api.mesh.publish("task.by-hand.update", {"status": "running", "agent_id": "by-hand"})
        await api.mesh.publish("task.nobodys.update", {"status": "running"})
        await looked(api)
        assert await statuses(api, "polite") == ["online", "offline"]
        left = await told(api, "task.left-open.update.polite")
        assert [update["status"] for update in left] == ["running", "failed"], "it said so, but not on its task"
        assert await statuses(api, "by-hand") == ["online"]
        assert len(await told(api, "task.by-hand.update")) == len(await told(api, "task.nobodys.update")) == 1


async def test_tasks_of_a_process_that_was_followed_by_another_fail(nats_server: NatsServer, soon: None) -> None:
    async with within(50), running_api(nats_server.url) as api:
        first = HandAgent(api.mesh, "scout")
        await first.beat()
        await first.say("busy")
        await first.update("old")
        await first.update("taken-over")
        second = await follower_of(first)
        async with beating(second, tasks=["taken-over"]):
            await second.say("online")
            await second.update("new")

            async def has_failed() -> bool:
                return [update["status"] for update in await told(api, "task.old.update.scout")] == [
                    "running",
                    "failed",
                ]

            await eventually(has_failed)
            await looked(api)
            assert await statuses(api, "scout") == ["busy", "online"]
            for task in ("taken-over", "new"):
                assert len(await told(api, f"task.{task}.update.scout")) == 1


@pytest.mark.promise("P-SILENCE-1")
async def test_of_two_processes_of_one_name_one_is_killed(
    nats_server: NatsServer, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh_api.serving.TTL_S", SOON_S)
    async with within(50), running_api(nats_server.url) as api:
        stays = HandAgent(api.mesh, "scout")
        killed = await follower_of(stays)
        async with beating(stays, tasks=["kept"]):
            async with beating(killed, tasks=["lost", "done"]):
                for task, agent in (("kept", stays), ("lost", killed), ("done", killed)):
                    await agent.say("busy")
                    await agent.update(task)
                await killed.update("done", "completed")
                await looked(api)
                assert [update["status"] for update in await told(api, "task.lost.update.scout")] == ["running"]

            async def has_failed() -> bool:
                updates = await told(api, "task.lost.update.scout")
                return [update["status"] for update in updates] == ["running", "failed"]

            await eventually(has_failed)
            assert [update["status"] for update in await told(api, "task.kept.update.scout")] == ["running"]
            assert len(await told(api, "task.done.update.scout")) == 2
            assert "offline" not in await statuses(api, "scout")


@pytest.mark.promise("P-SILENCE-2")
async def test_of_two_processes_of_one_name_both_are_heard(nats_server: NatsServer, soon: None) -> None:
    async with within(50), running_api(nats_server.url) as api:
        older = HandAgent(api.mesh, "scout")
        await older.beat(tasks=["t1"])
        await older.say("busy")
        await older.update("t1")
        younger = await follower_of(older)
        await younger.say("online")
        began = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < began + 3 * SOON_S:
            await older.beat(tasks=["t1"])
            await younger.beat()  # the bucket shows this one alone, but for a moment
            await asyncio.sleep(SOON_S / 10)
        assert [update["status"] for update in await told(api, "task.t1.update.scout")] == ["running"]


@pytest.mark.promise("P-SILENCE-2")
async def test_an_api_that_is_cut_off_takes_nobody_for_silent(nats_server: NatsServer, soon: None) -> None:
    async with (
        within(55),
        NatsProxy.running(nats_server.port) as proxy,
        running(nats_server.url) as mesh,
        running_api(proxy.url) as api,
    ):
        scout = HandAgent(mesh, "scout")
        async with beating(scout):
            await scout.say("online")
            await looked(api)
            before = api.mesh.connection.connects
            proxy.freeze()
            await eventually(lambda: api.mesh.connection.connects > before, within_s=30)
            await eventually(lambda: api.context.state.is_current)
            await looked(api)
            assert await statuses(api, "scout") == ["online"]
        await eventually(ends_with(api, "scout", "online", "offline"))


@pytest.mark.promise("P-SILENCE-2")
async def test_an_api_that_slept_looks_on_anew(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh_api.silence._ASLEEP_S", SOON_S / 2)
    async with within(30), running_api(nats_server.url) as api:
        silence = Silence(api.mesh, api.context.state, api.context.serving, after_s=SOON_S)
        scout = HandAgent(api.mesh, "scout")
        await scout.beat()
        await scout.say("online")
        await silence.look()
        time.sleep(1.2 * SOON_S)  # noqa: ASYNC251 - as a machine sleeps, and everybody on it
        await silence.look()
        assert await statuses(api, "scout") == ["online"]

        async def is_told() -> bool:
            await silence.look()
            return await statuses(api, "scout") == ["online", "offline"]

        await eventually(is_told)


@pytest.mark.promise("P-SILENCE-2")
async def test_agents_may_come_back_later_than_an_api_when_nats_was_away(tmp_path: Path) -> None:
    nats = await NatsServer.start(tmp_path / "nats", port=0)
    async with within(30), running_api(nats.url) as api:
        silence = Silence(api.mesh, api.context.state, api.context.serving, after_s=SOON_S)
        loop = asyncio.get_running_loop()
        scout = HandAgent(api.mesh, "scout")
        await scout.beat()
        await scout.say("online")
        await silence.look()
        seen_at = loop.time()
        await nats.stop()
        await eventually(lambda: api.mesh.connection.state == "degraded")
        await silence.look()
        await eventually(lambda: loop.time() > seen_at + SOON_S)
        async with await NatsServer.start(tmp_path / "nats", port=nats.port):
            await eventually(lambda: api.context.state.is_current)
            await silence.look()
            assert await statuses(api, "scout") == ["online"]


async def test_what_was_told_meanwhile_counts_more(nats_server: NatsServer) -> None:
    async with within(30), running_api(nats_server.url) as api:
        scout = HandAgent(api.mesh, "scout")
        await scout.beat()
        await scout.say("online")
        await scout.update("t1")
        known = await api.context.state.known()
        task, agent = known.tasks.get("t1"), known.agents.get("scout")
        assert task is not None
        assert agent is not None
        await scout.update("t1", "completed")
        await scout.say("offline")
        await api.context.silence._fail(task)
        await api.context.silence._tell(agent)
        assert [update["status"] for update in await told(api, "task.t1.update.scout")] == ["running", "completed"]
        assert await statuses(api, "scout") == ["online", "offline"]
        assert api.context.silence.told == 0


async def test_a_stale_replica_makes_nobody_silent(
    nats_server: NatsServer, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with within(50), running_api(nats_server.url) as api:
        scout = HandAgent(api.mesh, "scout")
        async with beating(scout):
            await scout.say("online")
            await api.context.state.hear()
            monkeypatch.setattr(api.context.state, "hear", lambda **_: asyncio.sleep(0))
            await looked(api)
            assert await statuses(api, "scout") == ["online"]
