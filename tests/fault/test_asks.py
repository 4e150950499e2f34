"""Questions while agents are killed and frozen, and while NATS restarts: one message ends each, and it comes soon."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from daena_mesh import Ask, StreamWriter
from daena_mesh.asks import Asks, Target
from daena_mesh.embedded import NatsServer
from daena_mesh.ids import uuid7
from daena_mesh.mesh import Mesh
from mesh_api import stream_tender
from tests.support.answering_process import WAIT, AnsweringProcess
from tests.support.api import Api, running_api
from tests.support.asks import answered, answers_to, queue_is_empty, queued
from tests.support.deadlines import eventually, within
from tests.support.meshes import mesh_at

pytestmark = pytest.mark.timeout(120)  # leases run out, and agents start, at their own pace

MANY = int(os.environ.get("ASKS", "1000"))
AT_ONCE = 16


@pytest.fixture
async def api(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    # Whoever ends what dead writers left must not take the word from another agent, however early it looks.
    monkeypatch.setattr(stream_tender, "SILENT_S", 2.0)
    async with running_api(nats_server.url) as api:
        yield api


async def put(mesh: Mesh, target: str, content: str, session_id: str = "s1") -> str:
    """Ask, as the chat calls do, and give the id of the message that asks."""
    ask = Ask(session_id=session_id, message_id=uuid7(), content=content)
    asks = Asks(mesh, deadline_s=20, patience_s=20)
    draft = asks.draft(Target.parse(target).subject("test"), ask)
    await mesh.chat(session_id).send(content, sender="user", message_id=ask.message_id)
    await asks.put(draft)
    return ask.message_id


async def the_answer(api: Api, target: str, message_id: str) -> str:
    """Wait until a question is ended and out of the queue, and give the one message that ends it."""
    await queue_is_empty(api.mesh, Target.parse(target).pattern, within_s=40)
    [event] = await answers_to(api.mesh, "s1", message_id)
    assert event.payload["metadata"] == {"in_reply_to": message_id}
    return str(event.payload["content"])


@pytest.mark.promise("P-ASK-2", "P-ASK-7")
async def test_what_a_killed_agent_worked_on_is_given_to_another_and_long_work_is_not(
    nats_server: NatsServer, api: Api
) -> None:
    async with (
        AnsweringProcess(nats_server.url, "victim", "department/short") as victim,
        AnsweringProcess(nats_server.url, "patient", "department/long", concurrency=1) as patient,
    ):
        long = await put(api.mesh, "department/long", WAIT)
        await eventually(lambda: patient.taken == [(WAIT, 1)], within_s=20)
        short = await put(api.mesh, "department/short", WAIT)
        await eventually(lambda: victim.taken == [(WAIT, 1)], within_s=20)
        async with AnsweringProcess(nats_server.url, "heir", "department/short", "department/long") as heir:
            heir.go()
            await victim.kill()
            assert await the_answer(api, "department/short", short) == f"heir says {WAIT}"
            assert heir.taken == [(WAIT, 2)]
            # That took longer than a lease, and the heir would have had the long one too.
            patient.go()
            assert await the_answer(api, "department/long", long) == f"patient says {WAIT}"
            assert (patient.taken, heir.taken) == ([(WAIT, 1)], [(WAIT, 2)])


async def freeze_at_work(url: str, api: Api, name: str, then: str) -> None:
    """Freeze an agent in the middle of an answer, and let it wake when another has answered, or is about to."""
    department = f"department/{name}"
    async with AnsweringProcess(url, name, department, f"agent/{name}") as sleeper:
        message_id = await put(api.mesh, department, WAIT)
        await eventually(lambda: sleeper.taken == [(WAIT, 1)], within_s=20)
        sleeper.send(signal.SIGSTOP)
        async with AnsweringProcess(url, f"not-{name}", department) as other:
            await eventually(lambda: other.taken == [(WAIT, 2)], within_s=40)
            if then != "fail":
                other.go()
                await eventually(lambda: answers_to(api.mesh, "s1", message_id), within_s=40)
            if then != "stay":
                sleeper.go(then)
            sleeper.send(signal.SIGCONT)
            later = await put(api.mesh, f"agent/{name}", "later")
            assert await the_answer(api, f"agent/{name}", later) == f"{name} says later"
            await eventually(lambda: is_idle(api, name), within_s=20)
            if then == "fail":
                other.go()
            assert await the_answer(api, department, message_id) == f"not-{name} says {WAIT}"
            assert (sleeper.taken, other.taken) == ([(WAIT, 1), ("later", 1)], [(WAIT, 2)])


async def is_idle(api: Api, name: str) -> bool:
    """Tell whether an agent says that it works on nothing."""
    beat = await api.mesh.log.last("KV_AGENTS", f"$KV.AGENTS.{name}")
    return beat is not None and json.loads(beat.body)["answering"] == []


async def freeze_idle(url: str, api: Api) -> None:
    """Freeze an agent that waits, have NATS give it a question, and let it go on when another works on that."""
    async with AnsweringProcess(url, "two", "department/two", "agent/two") as sleeper:
        first = await put(api.mesh, "agent/two", "first")
        assert await the_answer(api, "agent/two", first) == "two says first"
        sleeper.send(signal.SIGSTOP)
        message_id = await put(api.mesh, "department/two", WAIT)
        async with AnsweringProcess(url, "another", "department/two") as another:
            await eventually(lambda: another.taken, within_s=40)
            sleeper.send(signal.SIGCONT)
            later = await put(api.mesh, "agent/two", "later")
            assert await the_answer(api, "agent/two", later) == "two says later"
            another.go()
            assert await the_answer(api, "department/two", message_id) == f"another says {WAIT}"
            assert sleeper.taken == [("first", 1), ("later", 1)]
            assert [text for text, _ in another.taken] == [WAIT]


@pytest.mark.promise("P-ASK-2")
async def test_who_was_frozen_neither_answers_again_nor_takes_anything_back(nats_server: NatsServer, api: Api) -> None:
    await asyncio.gather(
        *(freeze_at_work(nats_server.url, api, f"sleeper-{then}", then) for then in ("go", "fail", "stay")),
        freeze_idle(nats_server.url, api),
    )


@pytest.mark.promise("P-ASK-2", "P-ASK-8")
@pytest.mark.parametrize("forgets", [False, True])
async def test_nats_restarts_in_the_middle(tmp_path: Path, forgets: bool) -> None:
    server = await NatsServer.start(tmp_path, port=0)
    try:
        async with AsyncExitStack() as stack:
            api = await stack.enter_async_context(running_api(server.url))
            mesh = await stack.enter_async_context(mesh_at(server.url, provisions=False))
            agent = await stack.enter_async_context(mesh.agent("a1"))
            attempts, go = [], asyncio.Event()

            @agent.on_ask
            async def answer(ask: Ask, out: StreamWriter) -> str:
                attempts.append(ask.attempt)
                await out.write("It went ")
                await go.wait()
                return "on"

            message_id = await put(api.mesh, "agent/a1", "x")
            await eventually(lambda: attempts == [1])
            if forgets:
                reply = await api.mesh.connection.request("$JS.API.CONSUMER.DELETE.ASKS.agent-a1", b"", timeout_s=2)
                assert b'"success":true' in reply.body
            server.kill()
            await server.wait()
            server = await NatsServer.start(tmp_path, port=server.port)
            go.set()
            await api.ready()
            assert await the_answer(api, "agent/a1", message_id) == "It went on"
            later = await put(api.mesh, "agent/a1", "y")
            assert await the_answer(api, "agent/a1", later) == "It went on"
    finally:
        await server.stop()


@pytest.mark.promise("P-ASK-7")
async def test_an_answer_is_kept_until_nats_is_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = await NatsServer.start(tmp_path, port=0)
    caplog.set_level(logging.INFO, "daena_mesh.answering")
    try:
        async with AsyncExitStack() as stack:
            api = await stack.enter_async_context(running_api(server.url))
            mesh = await stack.enter_async_context(mesh_at(server.url, provisions=False, wait_s=0.2))
            agent = await stack.enter_async_context(mesh.agent("a1"))
            attempts, go = [], asyncio.Event()

            @agent.on_ask
            async def answer(ask: Ask, out: StreamWriter) -> str:
                attempts.append(ask.attempt)
                await go.wait()
                return "found after an hour"

            message_id = await put(api.mesh, "agent/a1", "x")
            await eventually(lambda: attempts == [1])
            server.kill()
            await server.wait()
            go.set()
            await eventually(lambda: "an answer waits for NATS" in caplog.text)
            server = await NatsServer.start(tmp_path, port=server.port)
            await api.ready()
            assert await the_answer(api, "agent/a1", message_id) == "found after an hour"
            assert attempts == [1]
    finally:
        await server.stop()


@pytest.mark.promise("P-ASK-2", "P-ASK-7")
@pytest.mark.timeout(180)
async def test_many_questions_to_four_agents_each_killed_once(nats_server: NatsServer, api: Api) -> None:
    chance = random.Random()
    asked: list[str] = []

    async def ask(questions: list[int]) -> None:
        while questions:
            number = questions.pop()
            asked.append(await put(api.mesh, "department/crowd", str(number), f"s{number % 20}"))

    async def live(name: str, stack: AsyncExitStack, dies_at: int) -> None:
        process = await stack.enter_async_context(AnsweringProcess(nats_server.url, name, "department/crowd"))
        serving.append(name)
        await eventually(lambda: len(asked) >= dies_at, within_s=60)
        await eventually(lambda: len(process.taken) > 0, within_s=60)
        await process.kill()
        killed.append(name)
        await stack.enter_async_context(AnsweringProcess(nats_server.url, name, "department/crowd"))

    async def are_all_ended() -> bool:
        return await queued(api.mesh) == 0 and len(await answered(api.mesh)) == MANY

    serving, killed = list[str](), list[str]()
    async with within(160), AsyncExitStack() as stack:
        names = ["w0", "w1", "w2", "w3"]
        lives = [asyncio.create_task(live(name, stack, chance.randint(MANY // 20, MANY * 9 // 10))) for name in names]
        await eventually(lambda: len(serving) == len(names), within_s=60)
        questions = list(range(MANY))
        await asyncio.gather(*(ask(questions) for _ in range(AT_ONCE)))
        await asyncio.gather(*lives)
        assert sorted(killed) == names
        await eventually(are_all_ended, within_s=90)
        counts = await answered(api.mesh)
    assert set(asked) == set(counts)
    assert set(counts.values()) == {1}
