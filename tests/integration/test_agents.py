"""What agents do with the SDK, against a real nats-server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
from typing import Any

import pytest

from daena_mesh.agent import Agent
from daena_mesh.embedded import NatsServer
from daena_mesh.errors import Conflict, InvalidEvent, InvalidId
from daena_mesh.events import Event
from daena_mesh.mesh import Mesh
from daena_mesh.stored import Stored
from daena_mesh.task import Task
from tests.support.deadlines import eventually, within
from tests.support.meshes import events, running

HOSTILE = ["*", ">", "a.b", "", "a" * 65, "a b", "ä", "NAMES", "LIST"]


@pytest.fixture
async def mesh(nats_server: NatsServer) -> Any:
    async with running(nats_server.url) as mesh:
        yield mesh


async def heartbeat(mesh: Mesh, name: str) -> dict[str, Any]:
    """Give what the bucket says of an agent, or nothing."""
    stored: Stored | None = await mesh.log.last("KV_AGENTS", f"$KV.AGENTS.{name}")
    return {} if stored is None else dict(json.loads(stored.body))


async def until_status(feed: Any, status: str) -> list[Event]:
    """Take events up to one with this status."""
    found: list[Event] = []
    while not found or found[-1].payload.get("status") != status:
        found += await events(feed, 1)
    return found


# -- presence -------------------------------------------------------------------------------------------------------


@pytest.mark.promise("P-AGENT-1")
async def test_an_agent_is_there_while_its_block_runs(mesh: Mesh) -> None:
    async with mesh.subscribe("agent.scout.>") as feed:
        async with mesh.agent("scout") as agent:
            (online,) = await events(feed, 1)
            assert (online.subject, online.event_type) == ("agent.scout.status", "agent.status")
            assert online.payload == {
                "agent_id": "scout",
                "status": "online",
                "instance": agent.instance,
                "serves": [],
            }
            beat = await heartbeat(mesh, "scout")
            assert (beat["agent_id"], beat["instance"], beat["status"]) == ("scout", agent.instance, "online")
            assert (beat["serves"], beat["answering"], beat["tasks"]) == ([], [], [])
            assert {"started_at", "host", "pid", "version"} <= beat.keys()
        (offline,) = await events(feed, 1)
        assert offline.payload["status"] == "offline"
        assert (await heartbeat(mesh, "scout"))["status"] == "offline"


async def test_what_an_agent_publishes_names_it_as_the_author(mesh: Mesh) -> None:
    async with mesh.subscribe("chat.>") as feed:
        await mesh.chat("s1").send("before", sender="scout")
        async with mesh.agent("scout") as agent:
            assert mesh.author == "scout"
            await agent.chat("s1").send("within", sender="scout")
        await mesh.chat("s1").send("after", sender="scout")
        found = await events(feed, 3)
        assert [event.subject for event in found] == ["chat.s1.message", "chat.s1.message.scout", "chat.s1.message"]
    assert [event.payload["content"] for event in await mesh.chat("s1").history()] == ["before", "within", "after"]


async def test_agents_that_share_a_mesh_speak_for_themselves(mesh: Mesh) -> None:
    async with mesh.agent("scout"), mesh.agent("clerk") as clerk, mesh.subscribe("chat.>") as feed:
        await clerk.chat("s1").send("hello", sender="clerk")
        async with clerk.chat("s1").stream("clerk") as out:
            await out.write("and more")
        found = await events(feed, 3)
        assert {event.subject for event in found} == {"chat.s1.message.clerk", "chat.s1.delta.clerk"}
    with pytest.raises(InvalidId):
        mesh.chat("s1", author="*")


@pytest.mark.promise("P-ID-1")
@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
async def test_a_name_that_is_none_is_refused(mesh: Mesh, name: str) -> None:
    with pytest.raises(InvalidId):
        mesh.agent(name)
    with pytest.raises(InvalidId):
        Mesh(mesh.settings, name="x", author=name)
    async with mesh.agent("scout") as agent:
        if name not in {"NAMES", "LIST"}:
            with pytest.raises(InvalidId):
                agent.task(name)
            with pytest.raises(InvalidId):
                mesh.agent("other", departments=[name])


# -- activity -------------------------------------------------------------------------------------------------------


async def test_activity_tells_what_an_agent_does(mesh: Mesh) -> None:
    async with mesh.subscribe("agent.*.activity") as feed, mesh.agent("scout") as agent:
        await agent.activity("searching", query="nats")
        await agent.activity({"state": "reading", "page": 2}, of=9)
        found = await events(feed, 2)
        assert [event.subject for event in found] == ["agent.scout.activity"] * 2
        assert [event.payload for event in found] == [
            {"agent_id": "scout", "activity": {"state": "searching", "query": "nats"}},
            {"agent_id": "scout", "activity": {"state": "reading", "page": 2, "of": 9}},
        ]
        with pytest.raises(InvalidEvent):
            await agent.activity("searching", of=object())


@pytest.mark.promise("P-AGENT-3")
async def test_of_a_burst_the_first_and_the_last_are_told_and_the_rest_is_counted(mesh: Mesh) -> None:
    async with mesh.subscribe("agent.*.activity") as feed:
        async with mesh.agent("scout") as agent:
            for n in range(2_000):
                await agent.activity("counting", n=n)
        told = 2_000 - agent.coalesced
        numbers = [event.payload["activity"]["n"] for event in await events(feed, told)]
        assert numbers == sorted(numbers)
        assert (numbers[0], numbers[-1]) == (0, 1_999)
        assert told < 1_000


@pytest.mark.promise("P-AGENT-3")
async def test_what_is_told_before_a_computation_is_seen_during_it(mesh: Mesh, nats_server: NatsServer) -> None:
    is_ready, is_seen = threading.Event(), threading.Event()

    async def look() -> None:
        async with running(nats_server.url) as other, other.subscribe("agent.*.activity", "task.>") as feed:
            is_ready.set()
            await events(feed, 2)
            is_seen.set()

    looking = threading.Thread(target=asyncio.run, args=[look()])
    async with mesh.agent("scout") as agent:
        looking.start()
        await eventually(is_ready.is_set)
        async with agent.task("t1"):
            await agent.activity("computing")
            assert is_seen.wait(10)  # the event loop stands still meanwhile
    looking.join()


@pytest.mark.promise("P-AGENT-7")
async def test_a_flood_of_activities_leaves_nothing_behind(mesh: Mesh) -> None:
    async with mesh.agent("scout") as agent:
        await flood(agent, 20_000)
        before, coalesced = sys.getallocatedblocks(), agent.coalesced
        await flood(agent, 100_000)
        assert sys.getallocatedblocks() - before < 10_000
        assert agent.coalesced - coalesced > 90_000
        assert len(asyncio.all_tasks()) < 20


async def flood(agent: Agent, count: int) -> None:
    """Tell so many activities, as fast as that goes."""
    for n in range(count):
        await agent.activity("counting", n=n, text="what it does is said with some words")


async def test_a_loop_that_only_reports_does_not_stop_the_heart(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daena_mesh.heartbeat.INTERVAL_S", 0.05)
    async with mesh.agent("scout") as agent:
        before = agent._heartbeat._last_seq
        async with within(20):
            while agent._heartbeat._last_seq in {before, None}:
                await agent.activity("counting")


# -- tasks ----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("P-TASK-1")
async def test_a_task_ends_by_itself(mesh: Mesh) -> None:
    async with mesh.subscribe("task.>") as feed, mesh.agent("scout") as agent:
        async with agent.task("t1", total=10, title="Ten things") as task:
            (began,) = await events(feed, 1)
            assert began.subject == "task.t1.update.scout"
            assert began.payload == {
                "task_id": "t1",
                "agent_id": "scout",
                "title": "Ten things",
                "status": "running",
                "progress": {"done": 0, "total": 10, "rate": None, "eta_s": None, "note": None},
            }
            for n in range(10):
                await task.advance(note=f"thing {n}")
        found = await until_status(feed, "completed")
        progress = found[-1].payload["progress"]
        assert (progress["done"], progress["total"], progress["note"], progress["eta_s"]) == (10, 10, "thing 9", 0)
        assert len(found) + task.coalesced == 11
        assert task.status == "completed"


@pytest.mark.promise("P-TASK-1")
async def test_a_block_that_raises_fails_with_the_reason(mesh: Mesh) -> None:
    async with mesh.subscribe("task.>") as feed, mesh.agent("scout") as agent:
        with pytest.raises(LookupError):
            async with agent.task("t1"):
                raise LookupError("no such page")
        found = await until_status(feed, "failed")
        assert found[-1].payload["reason"] == "LookupError: no such page"


@pytest.mark.promise("P-TASK-1")
async def test_a_block_that_is_cancelled_says_so_and_is_cancelled(mesh: Mesh) -> None:
    has_begun = asyncio.Event()

    async def work(agent: Any) -> None:
        async with agent.task("t1"):
            has_begun.set()
            await asyncio.Event().wait()

    async with mesh.subscribe("task.>") as feed, mesh.agent("scout") as agent:
        working = asyncio.create_task(work(agent))
        await has_begun.wait()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert "reason" not in (await until_status(feed, "cancelled"))[-1].payload


@pytest.mark.promise("P-TASK-2")
async def test_a_task_that_is_cancelled_ends_and_the_program_goes_on(mesh: Mesh) -> None:
    async with mesh.subscribe("task.>") as feed, mesh.agent("scout") as agent, within(10):
        async with agent.task("t1") as task:
            asyncio.get_running_loop().call_soon(task.cancel)
            await asyncio.Event().wait()
        assert task.status == "cancelled"
        assert not task.cancel()
        assert (await until_status(feed, "cancelled"))[-1].payload["task_id"] == "t1"
        await asyncio.sleep(0)  # nothing is left of the cancellation


async def ask_to_cancel(mesh: Mesh, body: bytes) -> dict[str, Any]:
    """Do what an API does to cancel a task of scout."""
    reply = await mesh.connection.request("svc.scout.cancel", body, timeout_s=5)
    assert not reply.headers
    answer: dict[str, Any] = json.loads(reply.body)
    return answer


@pytest.mark.promise("P-TASK-2")
async def test_a_task_is_cancelled_from_afar_within_a_second(nats_server: NatsServer, mesh: Mesh) -> None:
    async def work(agent: Agent, task_id: str) -> str:
        async with agent.task(task_id) as task:
            await asyncio.Event().wait()
        return task.status

    async with running(nats_server.url) as other, mesh.subscribe("task.>") as feed, mesh.agent("scout") as agent:
        working = {name: asyncio.create_task(work(agent, name)) for name in ("t1", "t2")}
        await events(feed, 2)
        async with within(1):
            assert await ask_to_cancel(other, b'{"task_id":"t1"}') == {"ok": True}
            assert await working["t1"] == "cancelled"
        assert not working["t2"].done()
        (cancelled,) = await events(feed, 1)
        assert (cancelled.payload["task_id"], cancelled.payload["status"]) == ("t1", "cancelled")
        for body in (b'{"task_id":"t1"}', b'{"task_id":"t3"}', b'{"task_id":7}', b"{}", b"", b"\xff", b"[" * 9_000):
            refused = await ask_to_cancel(other, body)
            assert refused["ok"] is False
            assert refused["error"]
        assert await ask_to_cancel(other, b'{"task_id":"t2"}') == {"ok": True}
        assert await working["t2"] == "cancelled"


@pytest.mark.promise("P-TASK-2")
async def test_of_two_blocks_within_each_other_the_one_that_was_meant_is_cancelled(mesh: Mesh) -> None:
    async with mesh.agent("scout") as agent, within(10):
        async with agent.task("outer") as outer:
            async with agent.task("inner") as inner:
                asyncio.get_running_loop().call_soon(inner.cancel)
                await asyncio.Event().wait()
            assert (inner.status, outer.status) == ("cancelled", "running")
            async with agent.task("inner") as inner:
                asyncio.get_running_loop().call_soon(outer.cancel)
                await asyncio.Event().wait()
            raise AssertionError("this is not reached")
        assert (inner.status, outer.status) == ("cancelled", "cancelled")


@pytest.mark.promise("P-TASK-2")
async def test_who_is_cancelled_from_two_sides_is_cancelled(mesh: Mesh) -> None:
    has_begun = asyncio.Event()

    async def work(agent: Agent) -> None:
        async with agent.task("t1"):
            has_begun.set()
            await asyncio.Event().wait()
        raise AssertionError("this is not reached")

    async with mesh.agent("scout") as agent, within(10):
        working = asyncio.create_task(work(agent))
        await has_begun.wait()
        (task,) = agent.work
        task.cancel()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working


@pytest.mark.promise("P-TASK-2")
async def test_a_block_that_cancels_itself_at_its_very_end_leaves_nothing_of_it(mesh: Mesh) -> None:
    async with mesh.agent("scout") as agent, within(10):
        async with agent.task("t1") as task:
            task.cancel()
        assert task.status == "cancelled"
        await asyncio.sleep(0)
        with contextlib.suppress(asyncio.CancelledError):
            async with agent.task("t2") as task:
                task.cancel()
                task.cancel()
                await asyncio.sleep(0)
        assert task.status == "cancelled"
        running = asyncio.current_task()
        assert running is not None
        assert running.cancelling() == 0


@pytest.mark.promise("P-TASK-2")
async def test_a_task_may_be_cancelled_before_its_block_is_entered(mesh: Mesh) -> None:
    async with mesh.subscribe("task.>") as feed, mesh.agent("scout") as agent, within(10) as deadline:
        task = agent.task("t1")
        asyncio.get_running_loop().call_soon(task.cancel)
        async with task:
            await asyncio.Event().wait()
        assert task.status == "cancelled"
        assert not deadline.expired()
        await until_status(feed, "cancelled")

        async def work() -> None:
            async with agent.task("t2"):
                raise AssertionError("this is not reached")

        working = asyncio.create_task(work())
        asyncio.get_running_loop().call_soon(working.cancel)
        with pytest.raises(asyncio.CancelledError):
            await working
        assert not agent.work
        assert (await until_status(feed, "cancelled"))[-1].payload["task_id"] == "t2"


async def test_what_outlives_its_agent_is_cancelled(mesh: Mesh) -> None:
    has_begun = asyncio.Event()

    async def work(agent: Agent) -> str:
        async with agent.task("t1") as task:
            has_begun.set()
            await asyncio.Event().wait()
        return task.status

    async with mesh.subscribe("task.>", "agent.*.status") as feed, within(10):
        async with mesh.agent("scout") as agent:
            working = asyncio.create_task(work(agent))
            await has_begun.wait()
        assert await working == "cancelled"
        found = await until_status(feed, "offline")
        assert found[-2].payload["status"] == "cancelled"
    with pytest.raises(RuntimeError, match="within its block"):
        await agent.activity("gone")
    with pytest.raises(RuntimeError, match="within its block"):
        async with agent.task("t2"):
            pass
    with pytest.raises(RuntimeError, match="gives another one"):
        async with agent:
            pass


async def test_what_is_said_of_a_task_is_bounded_and_can_be_read(mesh: Mesh) -> None:
    async def fail(task: Task) -> None:
        async with task:
            task.total = 5
            await task.advance(note="\ud800" + "n" * 9_000)
            with pytest.raises(ValueError, match="from 0 to"):
                await task.advance(-1)
            raise OSError("x" * 9_000)

    async with mesh.subscribe("task.>") as feed, mesh.agent("scout") as agent:
        task = agent.task("t1", total=1, title="t" * 9_000)
        with pytest.raises(OSError, match="x"):
            await fail(task)
        last = (await until_status(feed, "failed"))[-1].payload
        assert (len(last["title"]), len(last["progress"]["note"]), len(last["reason"])) == (500, 500, 500)
        assert (last["progress"]["total"], last["progress"]["note"][:2]) == (5, "?n")
        with pytest.raises(RuntimeError, match="gives another one"):
            async with task:
                pass


async def test_an_agent_that_fails_says_why(mesh: Mesh) -> None:
    async def fail() -> None:
        async with mesh.agent("scout") as agent:
            agent.on_leave(closing)
            raise LookupError("nothing found")

    async with mesh.subscribe("agent.*.status") as feed:
        with pytest.raises(LookupError):
            await fail()
        assert (await until_status(feed, "offline"))[-1].payload["reason"] == "LookupError: nothing found"


async def closing() -> None:
    raise OSError("what is done at the end of an agent may fail")


async def test_an_agent_is_busy_while_it_works(mesh: Mesh) -> None:
    async with mesh.subscribe("agent.*.status") as feed, mesh.agent("scout") as agent:
        await events(feed, 1)
        async with agent.task("t1"):
            with pytest.raises(Conflict, match="t1"):
                async with agent.task("t1"):
                    pass
            (busy,) = await events(feed, 1)
            assert busy.payload["status"] == "busy"
            beat = await heartbeat(mesh, "scout")
            assert (beat["status"], beat["tasks"]) == ("busy", ["t1"])
        (free,) = await events(feed, 1)
        assert free.payload["status"] == "online"
