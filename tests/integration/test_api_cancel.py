"""`POST /tasks/{id}/cancel`: the agent that is at the task is asked, and what it says is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from daena_mesh.embedded import NatsServer
from tests.support.api import Api, running_api
from tests.support.deadlines import within
from tests.support.hand_agent import HandAgent

TASKS = "/api/v1/tasks"


@contextmanager
def answering(api: Api, name: str, answer: bytes | None) -> Iterator[list[Any]]:
    """Answer for an agent; gives what it was asked."""
    asked: list[Any] = []
    connection = api.mesh.connection

    def receive(_subject: bytes, reply: bytes, _headers: bytes, body: bytes) -> None:
        asked.append(msgspec.json.decode(body))
        if answer is not None:
            connection.publish(reply.decode(), answer)

    subscription = connection.subscribe(f"svc.{name}.cancel", receive)
    yield asked
    connection.unsubscribe(subscription)


async def cancel(api: Api, task_id: str, **headers: str) -> tuple[int, dict[str, Any]]:
    response = await api.client.post(f"{TASKS}/{task_id}/cancel", headers=headers)
    return response.status_code, response.json()


@pytest.mark.promise("P-STATE-2")
async def test_the_agent_that_is_at_a_task_is_asked_to_cancel_it(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api:
        scout = HandAgent(api.mesh, "scout")
        await scout.update("t1")
        with answering(api, "scout", b'{"ok":true}') as asked:
            assert await cancel(api, "t1") == (200, {"success": True, "task_id": "t1", "agent_id": "scout"})
        assert asked == [{"task_id": "t1"}]


async def test_what_cannot_be_cancelled_says_why(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api, within(30):
        scout = HandAgent(api.mesh, "scout")
        await scout.update("t1", "completed")
        status, problem = await cancel(api, "t1")
        assert (status, problem["detail"]) == (409, "Task 't1' is completed.")
        await api.mesh.publish("task.t2.update", {"status": "running"})
        status, problem = await cancel(api, "t2")
        assert (status, problem["type"]) == (409, "urn:daena-mesh:problem:not-cancelled")
        await api.mesh.publish("task.t3.update", {"status": "running", "agent_id": "a.b *"})
        assert (await cancel(api, "t3"))[0] == 409
        await scout.update("t4")
        with answering(api, "scout", b'{"ok":false,"error":"it does not listen"}'):
            status, problem = await cancel(api, "t4")
        assert (status, problem["detail"]) == (409, "Agent 'scout': it does not listen")
        for nonsense in (b"", b"{}", b"[1]", b"\xff"):
            with answering(api, "scout", nonsense):
                assert (await cancel(api, "t4"))[0] == 409


async def test_an_agent_that_is_away_or_silent_is_no_success(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api, within(30):
        await HandAgent(api.mesh, "scout").update("t1")
        status, problem = await cancel(api, "t1")
        assert (status, problem["type"]) == (503, "urn:daena-mesh:problem:agent-away")
        with answering(api, "scout", None) as asked:
            status, problem = await cancel(api, "t1")
        assert (status, problem["type"]) == (504, "urn:daena-mesh:problem:agent-silent")
        assert len(asked) == 1
        await nats_server.stop()
        at = time.monotonic()
        status, problem = await cancel(api, "t1")
        assert (status, problem["type"]) == (503, "urn:daena-mesh:problem:unavailable")
        assert time.monotonic() - at < 2


@pytest.mark.promise("P-RETRY-1")
async def test_a_retry_of_what_came_through_is_a_success(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api:
        scout = HandAgent(api.mesh, "scout")
        await scout.update("t1")
        with answering(api, "scout", b'{"ok":true}'):
            assert (await cancel(api, "t1", **{"Idempotency-Key": "k"}))[0] == 200
        await scout.update("t1", "cancelled")
        assert (await cancel(api, "t1", **{"Idempotency-Key": "k"}))[0] == 200
        assert (await cancel(api, "t1"))[0] == 409
