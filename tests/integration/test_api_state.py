"""The state of agents and tasks: from the log and the heartbeats, right after a restart too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daena_mesh.embedded import NatsServer
from daena_mesh.layout import SIGNALS
from mesh_api.streams import purge
from tests.support.api import Api, running_api
from tests.support.cutting_proxy import CuttingProxy
from tests.support.deadlines import eventually, within
from tests.support.hand_agent import HandAgent
from tests.support.meshes import running

AGENTS, TASKS = "/api/v1/agents", "/api/v1/tasks"


async def get(api: Api, path: str) -> Any:
    response = await api.client.get(path)
    assert response.status_code == 200, response.text
    return response.json()


async def refused(api: Api, method: str, path: str) -> tuple[int, str]:
    response = await api.client.request(method, path)
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["type"].removeprefix("urn:daena-mesh:problem:")


@pytest.mark.promise("P-STATE-1")
async def test_agents_and_tasks_are_as_they_were_told_last_right_after_a_restart_too(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api:
        assert await get(api, AGENTS) == {"agents": []}
        assert await get(api, TASKS) == {"tasks": []}
        scout = HandAgent(api.mesh, "scout", instance="i1")
        await scout.beat()
        await scout.say("busy", serves=["agent/scout"])
        await scout.update("t1", title="Index", progress={"done": 0, "total": 10})
        moved = await scout.update("t1", title="Index", progress={"done": 3, "total": 10, "note": "a.txt"})
        done = await scout.update("t2", "completed")
        await scout.act("starting")
        acted = await scout.act({"state": "searching", "query": "nats"})
        plain = await api.mesh.publish("agent.plain.activity.somebody", {"activity": "just this"})
        # What was acknowledged is there: nobody has to wait and ask again.
        found = await get(api, AGENTS)
        first, second = found["agents"]
        assert first.pop("last_seen").startswith("20")
        assert first == {
            "agent_id": "scout",
            "status": "busy",
            "reason": None,
            "instance": "i1",
            "serves": ["agent/scout"],
            "activity": {"state": "searching", "query": "nats"},
            "tasks": ["t1"],
            "cursor": acted.cursor,
        }
        assert (second["agent_id"], second["status"], second["activity"]) == ("plain", None, "just this")
        assert second["cursor"] == plain.cursor
        assert await get(api, f"{AGENTS}/plain") == second
        listed = (await get(api, TASKS))["tasks"]
        assert [(task["task_id"], task["status"], task["cursor"]) for task in listed] == [
            ("t2", "completed", done.cursor),
            ("t1", "running", moved.cursor),
        ]
        assert listed[1]["progress"] == {"done": 3, "total": 10, "note": "a.txt"}
        assert (listed[1]["title"], listed[1]["agent_id"]) == ("Index", "scout")
        assert await get(api, f"{TASKS}/t1") == listed[1]
        before = [await get(api, path) for path in (AGENTS, TASKS, f"{AGENTS}/scout/activity")]
    async with running_api(nats_server.url) as api:
        assert [await get(api, path) for path in (AGENTS, TASKS, f"{AGENTS}/scout/activity")] == before


async def test_a_heartbeat_alone_makes_an_agent_known(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api:
        await HandAgent(api.mesh, "quiet", instance="i9").beat("busy")

        async def listed() -> Any:
            return (await get(api, AGENTS))["agents"]

        (agent,) = await eventually(listed)
        assert (agent["agent_id"], agent["status"], agent["instance"]) == ("quiet", "busy", "i9")
        assert (agent["activity"], agent["cursor"], agent["serves"]) == (None, None, ["agent/quiet"])
        # Keys that are no ids, and bodies that are no heartbeats, are nobody's.
        await api.mesh.connection.request("$KV.AGENTS.a=b", b"{}", timeout_s=5)
        await api.mesh.connection.request("$KV.AGENTS.broken", b"[", timeout_s=5)
    async with running_api(nats_server.url) as api:
        assert [agent["agent_id"] for agent in (await get(api, AGENTS))["agents"]] == ["quiet"]


async def test_lists_are_filtered_and_limited(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api:
        for i, name in enumerate(["one", "two", "three"]):
            agent = HandAgent(api.mesh, name)
            await agent.say("offline" if i == 0 else "online")
            await agent.update(f"t{i}", "running" if i else "failed")
        assert [a["agent_id"] for a in (await get(api, f"{AGENTS}?status=online"))["agents"]] == ["three", "two"]
        assert [a["agent_id"] for a in (await get(api, f"{AGENTS}?limit=1"))["agents"]] == ["three"]
        assert [t["task_id"] for t in (await get(api, f"{TASKS}?status=running&limit=1"))["tasks"]] == ["t2"]
        assert [t["task_id"] for t in (await get(api, f"{TASKS}?agent_id=one"))["tasks"]] == ["t0"]
        for path in (f"{AGENTS}?limit=0", f"{AGENTS}?limit=1001", f"{TASKS}?limit=x", f"{AGENTS}/one/activity?limit=0"):
            assert (await refused(api, "GET", path))[1] == "wrong-parameter"


async def test_activity_comes_from_the_log_newest_first_in_pages(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api, within(30):
        scout = HandAgent(api.mesh, "scout")
        for i in range(5):
            await scout.act({"state": f"s{i}", "much": "x" * 10_000})
        await api.mesh.publish("agent.scout.activity.scout", {"activity": "with an author"})
        await api.mesh.connection.request("agent.scout.activity", b"poison", timeout_s=5)
        states: list[Any] = []
        path = f"{AGENTS}/scout/activity?limit=2"
        before = ""
        while True:
            page = await get(api, path + before)
            states += [each["activity"] for each in page["activities"]]
            if page["next"] is None:
                break
            before = f"&before={page['next']}"
        assert states[0] == "with an author"
        assert [state["state"] for state in states[1:]] == ["s4", "s3", "s2", "s1", "s0"]
        assert all(len(state["much"]) == 10_000 for state in states[1:])
        assert await refused(api, "GET", f"{AGENTS}/scout/activity?before=R1-1") == (422, "invalid-cursor")
        await scout.say("online")
        await purge(api.mesh.connection, SIGNALS, "agent.scout.activity")
        await purge(api.mesh.connection, SIGNALS, "agent.scout.activity.*")
        assert await get(api, f"{AGENTS}/scout/activity") == {"agent_id": "scout", "activities": [], "next": None}


@pytest.mark.promise("P-ID-1")
@pytest.mark.promise("P-ERROR-1")
async def test_what_is_unknown_or_no_id_is_refused(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api:
        connects = api.mesh.connection.connects
        assert await refused(api, "GET", f"{AGENTS}/nobody") == (404, "unknown-agent")
        assert await refused(api, "GET", f"{AGENTS}/nobody/activity") == (404, "unknown-agent")
        assert await refused(api, "GET", f"{TASKS}/nothing") == (404, "unknown-task")
        assert await refused(api, "POST", f"{TASKS}/nothing/cancel") == (404, "unknown-task")
        for wrong in ("*", ">", "a.b", "%20", "x" * 65, "x" * 5_000):
            for method, path in [
                ("GET", f"{AGENTS}/{wrong}"),
                ("GET", f"{AGENTS}/{wrong}/activity"),
                ("GET", f"{TASKS}/{wrong}"),
                ("GET", f"{TASKS}?agent_id={wrong[:64]}"),
                ("POST", f"{TASKS}/{wrong}/cancel"),
            ]:
                if "?" not in path or len(wrong) < 65:
                    assert await refused(api, method, path) == (422, "invalid-id"), path
        assert api.mesh.connection.connects == connects


async def test_a_task_that_is_forgotten_is_found_in_the_log(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_api(nats_server.url) as api:
        scout = HandAgent(api.mesh, "scout")
        await scout.update("t1", "completed", title="Long ago")
        known = (await api.context.state.known()).tasks
        monkeypatch.setattr(known, "_finished", {})
        assert (await get(api, TASKS))["tasks"] == []
        assert (await get(api, f"{TASKS}/t1"))["title"] == "Long ago"


async def test_without_nats_nobody_is_told_a_state_of_before(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api, within(30):
        await HandAgent(api.mesh, "scout").say("online")
        assert len((await get(api, AGENTS))["agents"]) == 1
        await nats_server.stop()
        for path in (AGENTS, f"{AGENTS}/scout", TASKS, f"{TASKS}/t1", "/api/v1/brain/status"):
            assert await refused(api, "GET", path) == (503, "unavailable"), path


@pytest.mark.promise("P-STATE-1")
async def test_what_was_told_while_the_api_was_cut_off_is_in(nats_server: NatsServer) -> None:
    async with (
        within(50),
        CuttingProxy(nats_server.port).running() as proxy,
        running(nats_server.url) as mesh,
        running_api(proxy.url.replace("http", "nats")) as api,
    ):
        scout = HandAgent(mesh, "scout")
        for i in range(10):
            proxy.cut()
            await scout.act(i)
            await scout.update(f"t{i}", "completed" if i % 2 else "running")
        await api.ready()
        assert api.mesh.connection.connects > 1
        agent = await get(api, f"{AGENTS}/scout")
        assert (agent["activity"], agent["tasks"]) == (9, [f"t{i}" for i in range(0, 10, 2)])
        assert len((await get(api, TASKS))["tasks"]) == 10


@pytest.mark.promise("P-GAP-1")
async def test_a_log_that_began_anew_makes_the_state_anew(tmp_path: Path) -> None:
    first = await NatsServer.start(tmp_path / "one", port=0)
    async with running_api(first.url) as api, within(50):
        old = HandAgent(api.mesh, "old")
        for _ in range(5):  # sequences that the other life has not come to yet
            await old.act("x")
        await old.beat()
        await old.update("t1")
        assert (await get(api, f"{AGENTS}/old"))["tasks"] == ["t1"]
        await first.stop()
        async with await NatsServer.start(tmp_path / "another", port=first.port):

            async def is_empty() -> bool:
                response = await api.client.get(AGENTS)
                return response.status_code == 200 and response.json()["agents"] == []

            await eventually(is_empty, within_s=20)
            await api.ready()
            new = HandAgent(api.mesh, "new")
            await new.beat("busy")
            await new.act("y")

            async def is_heard() -> bool:
                return bool((await get(api, f"{AGENTS}/new"))["status"] == "busy")

            await eventually(is_heard)
            assert [agent["agent_id"] for agent in (await get(api, AGENTS))["agents"]] == ["new"]
            assert (await get(api, TASKS))["tasks"] == []


async def test_a_bucket_of_heartbeats_that_was_lost_is_read_from_its_beginning(nats_server: NatsServer) -> None:
    async with (
        within(50),
        CuttingProxy(nats_server.port).running() as proxy,
        running(nats_server.url) as mesh,
        running_api(proxy.url.replace("http", "nats")) as api,
    ):
        old, new = HandAgent(mesh, "old"), HandAgent(mesh, "new")
        for _ in range(20):
            await old.beat()
        await api.context.state.hear()
        await mesh.connection.request("$JS.API.STREAM.DELETE.KV_AGENTS", b"", timeout_s=5)
        connects = api.mesh.connection.connects
        proxy.cut()
        await eventually(lambda: api.mesh.connection.connects > connects)
        await api.ready()
        await new.beat()

        async def is_known() -> bool:
            return (await api.client.get(f"{AGENTS}/new")).status_code == 200

        await eventually(is_known)


@pytest.mark.promise("P-STATE-1")
async def test_what_was_acknowledged_is_in_every_answer_of_every_api(nats_server: NatsServer) -> None:
    async with (
        within(50),
        running_api(nats_server.url) as one,
        running_api(nats_server.url) as two,
        running(nats_server.url) as mesh,
    ):
        scout = HandAgent(mesh, "scout")
        for i in range(200):
            await scout.act(i)
            for api in (one, two):
                assert (await get(api, f"{AGENTS}/scout"))["activity"] == i
