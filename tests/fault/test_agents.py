"""Agents while NATS dies, freezes and forgets, while they are killed, and while two run under one name."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daena_mesh.asks import Ask
from daena_mesh.embedded import NatsServer
from daena_mesh.heartbeat import TTL_S
from daena_mesh.mesh import Mesh
from daena_mesh.stream_writer import StreamWriter
from tests.support.deadlines import eventually, within
from tests.support.meshes import events, mesh_at, running


async def heartbeat(mesh: Mesh, name: str = "scout") -> dict[str, Any]:
    """Give what the bucket says of an agent, or nothing."""
    stored = await mesh.log.last("KV_AGENTS", f"$KV.AGENTS.{name}")
    return {} if stored is None else dict(json.loads(stored.body))


async def last(mesh: Mesh, subject: str) -> dict[str, Any]:
    """Give what was told last on a subject."""
    stored = await mesh.log.last("SIGNALS", subject)
    assert stored is not None
    return dict(json.loads(stored.body)["payload"])


async def last_status(mesh: Mesh) -> dict[str, Any]:
    """Give what was told last of the agent scout."""
    return await last(mesh, "agent.scout.status")


@contextlib.asynccontextmanager
async def frozen(server: NatsServer) -> AsyncIterator[None]:
    """Let a server stand still for a block."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@pytest.mark.promise("P-AGENT-4")
@pytest.mark.parametrize("forgets", [False, True])
async def test_after_a_restart_of_nats_an_agent_and_its_task_are_there_again(tmp_path: Path, forgets: bool) -> None:
    server = await NatsServer.start(tmp_path, port=0)
    try:
        async with running(server.url) as mesh, mesh.agent("scout") as agent, agent.task("t1", total=9) as task:
            await task.advance(3)

            async def is_told() -> bool:
                progress = (await last(mesh, "task.t1.update.scout"))["progress"]
                return bool(progress["done"] == 3 and (await last_status(mesh))["status"] == "busy")

            await eventually(is_told)
            server.kill()
            await server.wait()
            if forgets:
                await asyncio.to_thread(shutil.rmtree, tmp_path)
            await eventually(lambda: mesh.connection.state == "degraded")
            for n in range(500):
                await agent.activity("away", n=n)
                await task.advance(0, note=f"away {n}")
                await asyncio.sleep(0)
            assert len(mesh._outbox) == 0  # of all that, only the newest waits
            server = await NatsServer.start(tmp_path, port=server.port)
            async with running(server.url) as other:

                async def all_is_told() -> bool:
                    activity = await last(other, "agent.scout.activity")
                    update = await last(other, "task.t1.update.scout")
                    assert (await last_status(other))["status"] == "busy"
                    assert activity["activity"] == {"state": "away", "n": 499}
                    return bool(update["progress"]["note"] == "away 499")

                await eventually(all_is_told)
                beat = await heartbeat(other)
                assert (beat["instance"], beat["tasks"]) == (agent.instance, ["t1"])
        assert mesh.signals_dropped == 0
        async with running(server.url) as mesh:
            assert (await last_status(mesh))["status"] == "offline"
    finally:
        await server.stop()


@pytest.mark.promise("P-AGENT-4")
async def test_without_nats_an_agent_works_and_is_told_once_nats_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = await NatsServer.start(tmp_path, port=0)
    async with running(server.url):  # makes the streams
        pass
    await server.stop()
    mesh = mesh_at(server.url, wait_s=0.2)
    mesh.start()
    try:
        async with mesh.agent("scout") as agent:
            assert ["not announced yet" in record.message for record in caplog.records].count(True) == 1
            async with agent.task("t1") as task, within(10):
                await task.advance(note="alone")
            await agent.activity("waiting")
            server = await NatsServer.start(tmp_path, port=server.port)
            async with running(server.url) as other:

                async def is_told() -> bool:
                    return bool((await last_status(other))["status"] == "online")

                await eventually(is_told)
                assert (await heartbeat(other))["instance"] == agent.instance
    finally:
        await mesh.close()
        await server.stop()


async def answer(ask: Ask, out: StreamWriter) -> str:
    return "42"


@pytest.mark.promise("P-AGENT-5")
@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_leaving_does_not_wait_for_a_nats_that_is_away(nats_server: NatsServer, how: str) -> None:
    async with (
        contextlib.AsyncExitStack() as stack,
        within(20),
        running(nats_server.url) as mesh,
        mesh.agent("scout") as agent,
        agent.task("t1") as task,
    ):
        agent.on_ask(answer)
        if how == "killed":
            nats_server.kill()
        else:
            await stack.enter_async_context(frozen(nats_server))
        await task.advance()
        await agent.activity("still here")
    left = [task for task in asyncio.all_tasks() if task.get_name().startswith(("heartbeat", "courier", "ask"))]
    assert left == []


AGENT = """
import asyncio, signal, sys
from daena_mesh import Mesh

async def main() -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    async with Mesh.connect(sys.argv[1]) as mesh, mesh.agent("scout") as agent, agent.task("t1") as task:
        await task.advance(note="begun")
        print(agent.instance, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def another_scout(url: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run an agent as a process of its own: the process and the agent's instance."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", AGENT, url, stdout=PIPE, stderr=DEVNULL)
    try:
        assert process.stdout is not None
        async with within(20):
            instance = (await process.stdout.readline()).decode().strip()
        yield process, instance
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.promise("P-AGENT-2")
async def test_the_heartbeat_of_a_killed_process_expires(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as mesh, another_scout(nats_server.url) as (process, instance):

        async def beat() -> tuple[str, int, list[str]]:
            found = await heartbeat(mesh)
            return found["instance"], found["pid"], found["tasks"]

        async def is_whole() -> bool:
            return await beat() == (instance, process.pid, ["t1"])

        await eventually(is_whole)
        process.kill()
        await process.wait()
        assert await heartbeat(mesh)

        async def is_gone() -> bool:
            return not await heartbeat(mesh)

        await eventually(is_gone, within_s=TTL_S + 10)


@pytest.mark.promise("P-AGENT-1")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
async def test_a_process_that_is_told_to_end_leaves_in_order(nats_server: NatsServer, how: signal.Signals) -> None:
    async with running(nats_server.url) as mesh, another_scout(nats_server.url) as (process, instance):
        process.send_signal(how)
        async with within(20):
            await process.wait()
        told = await last_status(mesh)
        assert (told["status"], told["instance"]) == ("offline", instance)
        assert (await last(mesh, "task.t1.update.scout"))["status"] == "cancelled"


@pytest.mark.promise("P-AGENT-6")
async def test_who_runs_under_a_name_that_is_taken_is_told_and_does_not_tell_the_other_offline(
    nats_server: NatsServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daena_mesh.heartbeat.INTERVAL_S", 0.3)

    def warned() -> int:
        return sum("another process runs as agent 'scout'" in record.message for record in caplog.records)

    async with running(nats_server.url) as mesh, running(nats_server.url) as other:
        async with mesh.agent("scout") as old:
            await eventually(lambda: old._heartbeat._last_seq)
            assert warned() == 0
            async with other.agent("scout"):
                await eventually(lambda: warned() == 2)
            # The second one has left, with or without a word: the first one has the last.

            async def has_the_last_word() -> bool:
                told, beat = await last_status(mesh), await heartbeat(mesh)
                return (told["status"], told["instance"], beat["instance"]) == ("online", old.instance, old.instance)

            await eventually(has_the_last_word)
        assert (await last_status(mesh))["status"] == "offline"
        assert warned() == 2


@pytest.mark.promise("P-AGENT-6")
async def test_a_new_process_takes_over_from_an_old_one_without_being_told_offline(
    nats_server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(nats_server.url) as mesh, running(nats_server.url) as other, mesh.subscribe("agent.>") as feed:
        async with contextlib.AsyncExitStack() as old_life, contextlib.AsyncExitStack() as new_life:
            await old_life.enter_async_context(mesh.agent("scout"))
            new = await new_life.enter_async_context(other.agent("scout"))
            await old_life.aclose()
            found = await events(feed, 2)
            assert [event.payload["status"] for event in found] == ["online", "online"]
            assert (await last_status(mesh))["instance"] == new.instance
            assert (await heartbeat(mesh))["instance"] == new.instance
        (offline,) = await events(feed, 1)
        assert (offline.payload["status"], offline.payload["instance"]) == ("offline", new.instance)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.promise("P-AGENT-4")
async def test_who_was_silent_for_long_says_again_how_it_is(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as mesh, mesh.agent("scout") as agent, agent.task("t1"):
        await eventually(lambda: agent._heartbeat._told == ("busy", []))
        await mesh.publish("agent.scout.status", {"agent_id": "scout", "status": "offline", "reason": "silent"})
        await mesh.publish("task.t1.update.scout", {"task_id": "t1", "status": "failed", "agent_id": "scout"})
        async with mesh.subscribe("agent.scout.status", "task.t1.update.scout") as feed:
            agent._heartbeat._beaten_at -= TTL_S  # as after a loop that was blocked for so long
            agent.announce()
            found = {event.event_type: event.payload["status"] for event in await events(feed, 2)}
            assert found == {"agent.status": "busy", "task.update": "running"}
