"""`mesh brain`, asked through the API, while it, NATS and its server of models come and go."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from daena_mesh.embedded import NatsServer
from daena_mesh.events import Event
from daena_mesh.mesh import Mesh
from mesh_brain.service import BrainService
from mesh_brain.settings import BrainSettings, Place
from tests.support.api import running_api
from tests.support.asking import first_words
from tests.support.brain_command import brain_command, start
from tests.support.deadlines import eventually, within
from tests.support.meshes import events, running
from tests.support.model_server import ModelServer, Reply, breaks_off, chunk, says, silence
from tests.support.running_mesh import RunningMesh

pytestmark = pytest.mark.timeout(180)  # several processes start in most of these

WORDS = [f"word{number} " for number in range(40)]


async def ask(client: httpx.AsyncClient, message: str = "Hi.", **headers: str) -> dict[str, Any]:
    """Ask Daena in session s1."""
    body = {"message": message, "session_id": "s1"}
    response = await client.post("/api/v1/daena/chat", json=body, headers=headers, timeout=30)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def answers(mesh: Mesh) -> list[Event]:
    """Give what was said in session s1 that is no question."""
    return [event for event in await mesh.chat("s1").history() if event.payload["sender"] != "user"]


class Slow:
    """Answers with `WORDS`, one for each time it is let; notes that it was asked."""

    def __init__(self) -> None:
        self.said = 0
        self.asked = 0
        self.may_go_on = asyncio.Event()

    async def __call__(self, reply: Reply, body: dict[str, Any]) -> None:
        self.asked += 1
        reply.begin()
        for number, word in enumerate(WORDS):
            if number == 5:
                await self.may_go_on.wait()
            await reply.event(chunk(word))
            self.said += 1
        await reply.event(chunk(finish_reason="stop"))
        await reply.end()


# -- as people run it --------------------------------------------------------------------------------------------


@asynccontextmanager
async def client_of(mesh: RunningMesh) -> AsyncIterator[tuple[httpx.AsyncClient, Mesh]]:
    """Give a client of the API of `mesh up`, and a mesh to look with."""
    async with httpx.AsyncClient(base_url=mesh.url) as client, Mesh.connect(mesh.nats_url) as looking:
        yield client, looking


@pytest.mark.promise("P-BRAIN-1")
async def test_daena_is_asked_by_rest_and_answers_in_the_chat(mesh_up: RunningMesh, tmp_path: Path) -> None:
    async with ModelServer.running() as there, client_of(mesh_up) as (client, mesh):
        async with brain_command(mesh_up.nats_url, there.url, tmp_path) as brain:
            assert brain.said == f"brain ready: daena answers with m at {there.url}"
            asked = await ask(client, "Who are you?", Prefer="wait=20")
            (answer,) = await answers(mesh)
            assert "Hello!" in json.dumps(asked["response"])
            assert (answer.payload["sender"], answer.payload["content"]) == ("daena", "Hello!")
            assert answer.payload["metadata"]["in_reply_to"] == asked["message_id"]
            assert answer.payload["metadata"]["usage"]["total_tokens"] == 9
            (state,) = (await client.get("/api/v1/brain/status")).json()["brains"]
            assert (state["brain_id"], state["status"]["state"]) == ("main", "online")
            assert await brain.end() == 0
            assert brain.log == ""
        (state,) = (await client.get("/api/v1/brain/status")).json()["brains"]
        assert (state["status"]["state"], state["status"]["reason"]) == ("offline", "the brain was stopped")


@pytest.mark.promise("P-BRAIN-1")
async def test_a_brain_killed_in_the_middle_answers_once_after_its_start(mesh_up: RunningMesh, tmp_path: Path) -> None:
    async with ModelServer.running() as there, client_of(mesh_up) as (client, mesh), within(120):
        there.script.append(breaks_off("Hel", by=silence))
        async with (
            mesh.subscribe("chat.s1.delta", "chat.s1.delta.*") as deltas,
            brain_command(mesh_up.nats_url, there.url, tmp_path) as brain,
        ):
            await ask(client)
            delta = await first_words(deltas)
            assert delta.payload["text"] == "Hel"
            assert await brain.end(signal.SIGKILL) == -signal.SIGKILL
        async with brain_command(mesh_up.nats_url, there.url, tmp_path):
            (answer,) = await eventually(lambda: answers(mesh), within_s=90)
            assert answer.payload["content"] == "Hello!"
            assert "incomplete" not in answer.payload["metadata"]
            assert answer.payload["message_id"] == delta.payload["message_id"]


async def test_a_brain_that_is_stopped_leaves_its_question_to_another(mesh_up: RunningMesh, tmp_path: Path) -> None:
    async with ModelServer.running() as there, client_of(mesh_up) as (client, mesh), within(120):
        there.script.append(breaks_off("Hel", by=silence))
        async with brain_command(mesh_up.nats_url, there.url, tmp_path) as first:
            await ask(client)
            await eventually(lambda: there.questions)
            async with brain_command(mesh_up.nats_url, there.url, tmp_path, MESH_BRAIN_ID="second") as second:
                assert second.said.startswith("brain ready: daena-second answers")
                assert await first.end() == 0
                (answer,) = await eventually(lambda: answers(mesh), within_s=90)
                assert (answer.payload["sender"], answer.payload["content"]) == ("daena", "Hello!")
                assert answer.payload["metadata"]["brain"] == "second"


async def test_the_order_of_starts_does_not_matter(tmp_path: Path) -> None:
    async with await NatsServer.start(tmp_path / "nats", port=0) as server:
        port, url = server.port, server.url
    log = tmp_path / "brain.log"
    async with ModelServer.running() as there:
        process = await start(url, there.url, log)
        assert process.stdout is not None
        try:
            await eventually(lambda: "the brain waits for it" in log.read_text(), within_s=60)
            async with await NatsServer.start(tmp_path / "nats", port=port), running(url), within(30):
                assert (await process.stdout.readline()).startswith(b"brain ready: ")
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def test_somebody_stops_an_answer(mesh_up: RunningMesh, tmp_path: Path) -> None:
    async with (
        ModelServer.running() as there,
        client_of(mesh_up) as (client, mesh),
        mesh.subscribe("chat.s1.delta", "chat.s1.delta.*") as deltas,
        brain_command(mesh_up.nats_url, there.url, tmp_path),
        within(120),
    ):
        there.script.append(breaks_off("Hel", by=silence))
        await ask(client)
        await first_words(deltas)

        async def is_stopped() -> bool:  # an API finds what is written when it hears of it
            return (await client.post("/api/v1/chat-history/sessions/s1/stop", json={})).status_code == 200

        await eventually(is_stopped)
        (answer,) = await eventually(lambda: answers(mesh), within_s=60)
        assert (answer.payload["content"], answer.payload["metadata"]["reason"]) == ("Hel", "stopped")
        await eventually(lambda: there.cuts == 1)
        await ask(client, "Again?", Prefer="wait=20")
        assert len(there.questions) == 2


async def test_a_stop_while_it_waits_for_nats_ends_it(tmp_path: Path) -> None:
    log = tmp_path / "brain.log"
    process = await start("nats://127.0.0.1:1", "http://127.0.0.1:1/v1", log)
    await eventually(lambda: "the brain waits for it" in log.read_text(), within_s=60)
    process.send_signal(signal.SIGINT)
    async with within():
        out, _ = await process.communicate()
    assert (process.returncode, out) == (128 + signal.SIGINT, b"")


async def test_a_stop_while_nats_is_away_ends_it(tmp_path: Path) -> None:
    async with (
        await NatsServer.start(tmp_path / "nats", port=0) as server,
        ModelServer.running() as there,
        running(server.url),
        brain_command(server.url, there.url, tmp_path) as brain,
    ):
        server.kill()
        await server.wait()
        assert await brain.end() == 0


@pytest.mark.nats_cli
async def test_operators_see_it_as_a_service(mesh_up: RunningMesh, tmp_path: Path, nats_cli: Path) -> None:
    async with (
        ModelServer.running() as there,
        client_of(mesh_up) as (client, _),
        brain_command(mesh_up.nats_url, there.url, tmp_path),
    ):
        await ask(client, Prefer="wait=20")
        process = await asyncio.create_subprocess_exec(
            *(nats_cli, "-s", mesh_up.nats_url, "micro", "stats", "mesh-brain", "--json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with within():
            out, err = await process.communicate()
        assert process.returncode == 0, err
        (stats,) = json.loads(out)
        (endpoint,) = stats["endpoints"]
        assert (endpoint["name"], endpoint["num_requests"], endpoint["num_errors"]) == ("completions", 1, 0)
        assert endpoint["data"]["state"] == "online"


# -- what is around it fails -------------------------------------------------------------------------------------


@asynccontextmanager
async def brain_at(nats_url: str, there: ModelServer, **settings: Any) -> AsyncIterator[BrainService]:
    """Run a brain in this process."""
    told = BrainSettings(nats_url=nats_url, **{"brain_watch_s": 0.05, "brain_most_pause_s": 0.2, **settings})
    async with BrainService(Place(there.url), told) as brain:
        yield brain


async def test_nats_restarted_in_the_middle_of_an_answer(tmp_path: Path) -> None:
    server = await NatsServer.start(tmp_path, port=0)
    try:
        async with within(120), ModelServer.running() as there, running_api(server.url) as api:
            there.always = slow = Slow()
            async with brain_at(server.url, there):
                await ask(api.client)
                await eventually(lambda: slow.said >= 5, within_s=60)
                server.kill()
                await server.wait()
                slow.may_go_on.set()
                await eventually(lambda: slow.said == len(WORDS))
                server = await NatsServer.start(tmp_path, port=server.port)
                await eventually(lambda: api.mesh.connection.state == "connected", within_s=20)
                (answer,) = await eventually(lambda: answers(api.mesh), within_s=60)
                assert answer.payload["content"] == "".join(WORDS)
                assert "incomplete" not in answer.payload["metadata"]
                await ask(api.client, "Again?")
                assert await eventually(lambda: len_of_answers(api.mesh, 2), within_s=60)
    finally:
        await server.stop()


async def len_of_answers(mesh: Mesh, count: int) -> bool:
    return len(await answers(mesh)) == count


async def test_a_model_that_is_away_and_comes_back(nats_server: NatsServer) -> None:
    async with within(120), ModelServer.running() as there, running_api(nats_server.url) as api:
        await there.stop()
        async with api.mesh.subscribe("brain.>") as feed, brain_at(nats_server.url, there, brain_retries=1):
            (state,) = await events(feed, 1)
            assert state.payload["status"]["state"] == "offline"
            await ask(api.client)
            (sorry,) = await eventually(lambda: answers(api.mesh), within_s=60)
            assert "cannot be reached: is it running?" in sorry.payload["content"]
            await there.start()
            (state,) = await events(feed, 1)
            assert state.payload["status"]["state"] == "online"
            await ask(api.client, "And now?")
            assert await eventually(lambda: len_of_answers(api.mesh, 2), within_s=60)
            assert there.questions[0]["messages"][1:] == [{"role": "user", "content": "Hi.\n\nAnd now?"}]


async def test_many_are_asked_at_a_time_and_no_more(nats_server: NatsServer) -> None:
    go_on = asyncio.Event()

    async def waits(reply: Reply, body: dict[str, Any]) -> None:
        await go_on.wait()
        await says("Yes.")(reply, body)

    async with within(120), ModelServer.running() as there, running_api(nats_server.url) as api:
        there.always = waits
        async with brain_at(nats_server.url, there, brain_concurrency=3):
            for number in range(12):
                await ask(api.client, f"{number}")
            await eventually(lambda: len(there.questions) == 3, within_s=60)
            for _ in range(20):  # more would have come by the time of these
                await api.client.get("/api/v1/brain/status")
            assert len(there.questions) == 3
            go_on.set()
            assert await eventually(lambda: len_of_answers(api.mesh, 12), within_s=90)
        assert len(there.questions) == 12
