"""Agents of the real SDK in processes of their own: killed, frozen, stopped and cancelled, with the real times."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from daena_mesh.embedded import NatsServer
from tests.support.agent_process import AgentProcess
from tests.support.api import Api, running_api
from tests.support.deadlines import eventually, within
from tests.support.told import statuses, told

GONE_WITHIN_S = 40.0


async def agent(api: Api, name: str) -> dict[str, Any]:
    found: dict[str, Any] = (await api.client.get(f"/api/v1/agents/{name}")).json()
    return found


async def task(api: Api, task_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await api.client.get(f"/api/v1/tasks/{task_id}")).json()
    return found


@pytest.mark.timeout(150)
@pytest.mark.promise("P-SILENCE-1", "P-SILENCE-2")
async def test_killed_and_frozen_agents_are_told_as_offline_once(nats_server: NatsServer) -> None:
    url = nats_server.url
    async with (
        within(140),
        running_api(url) as api,
        AgentProcess(url, "killed", "t-killed") as killed,
        AgentProcess(url, "frozen", "t-frozen") as frozen,
        AgentProcess(url, "lives", "t-lives"),
    ):
        for name in ("killed", "frozen", "lives"):
            assert (await agent(api, name))["tasks"] == [f"t-{name}"]
        async with running_api(url) as another:
            killed.send(signal.SIGKILL)
            frozen.send(signal.SIGSTOP)
            await killed.end()
            assert (await agent(another, "killed"))["status"] == "busy"
        async with running_api(url) as another:  # it knows of nobody that was killed before it began

            async def are_offline() -> bool:
                return all([(await agent(api, name))["status"] == "offline" for name in ("killed", "frozen")])

            await eventually(are_offline, within_s=GONE_WITHIN_S)
            frozen.send(signal.SIGCONT)

            async def is_busy_again() -> bool:
                said = await statuses(api, "frozen")
                return said[-1] == "busy" and (await task(api, "t-frozen"))["status"] == "running"

            await eventually(is_busy_again, within_s=20)
            await eventually(lambda: another.context.silence._looked > 0)
            for name in ("killed", "frozen", "lives"):
                said = await statuses(another, name)
                assert said.count("offline") == (name != "lives"), name
                assert (await agent(another, name))["status"] == ("offline" if name == "killed" else "busy")
            for name in ("killed", "frozen"):
                updates = await told(api, f"task.t-{name}.update.{name}")
                assert [update["status"] for update in updates].count("failed") == 1
            assert (await task(api, "t-killed"))["reason"] == "the agent is gone"
            assert (await task(api, "t-lives"))["status"] == "running"


@pytest.mark.promise("P-STATE-2")
async def test_a_task_is_cancelled_and_an_agent_that_is_stopped_says_so_itself(nats_server: NatsServer) -> None:
    url = nats_server.url
    async with (
        within(50),
        running_api(url) as api,
        AgentProcess(url, "scout", "t1") as cancelled,
        AgentProcess(url, "polite", "t2") as stopped,
    ):
        response = await api.client.post("/api/v1/tasks/t1/cancel")
        assert response.json() == {"success": True, "task_id": "t1", "agent_id": "scout"}
        stopped.send(signal.SIGTERM)
        assert await cancelled.end() == await stopped.end() == 0
        for name, task_id, ended in (("scout", "t1", "cancelled"), ("polite", "t2", "completed")):
            assert (await task(api, task_id))["status"] == ended
            assert (await agent(api, name))["status"] == "offline"
            assert (await agent(api, name))["reason"] != "silent"
        assert (await api.client.post("/api/v1/tasks/t1/cancel")).status_code == 409
