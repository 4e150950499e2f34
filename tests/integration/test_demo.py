"""The agents of `mesh demo`, on a whole mesh and a folder with a few texts."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio

from daena_mesh.embedded import NatsServer
from daena_mesh.vault import Vault
from mesh_cli.demo.badges import ensure_badges
from tests.support.commands import MESH, refused
from tests.support.deadlines import eventually
from tests.support.processes import all_gone, children_of
from tests.support.running_mesh import RunningMesh

CURSOR = "# Words\n\nA cursor is the position of one event.\nClients resume from it.\n"
WITHIN_S = 30.0


class Demo(httpx.AsyncClient):
    """Asks the API of a mesh on which the agents work."""

    def __init__(self, mesh: RunningMesh, folder: Path) -> None:
        super().__init__(base_url=f"{mesh.url}/api/v1", timeout=WITHIN_S)
        self.mesh = mesh
        self.folder = folder

    async def read(self, path: str) -> Any:
        """What a GET answers."""
        answer = await self.get(path)
        assert answer.status_code == 200
        return answer.json()

    async def ask(self, question: str) -> str:
        """What the librarian says to it."""
        body = {"message": question, "session_id": "s1"}
        answer = await self.post("/agents/librarian/chat", json=body, headers={"Prefer": "wait=20"})
        return str(answer.json()["response"])

    async def has_read(self, times: int) -> bool:
        """Whether the folder was read that often."""
        tasks: list[dict[str, Any]] = (await self.read("/tasks"))["tasks"]
        done = [task for task in tasks if task["agent_id"] == "reader" and task["status"] == "completed"]
        return len(done) >= times


@pytest_asyncio.fixture
async def demo(tmp_path: Path) -> AsyncIterator[Demo]:
    """Give a `mesh up --demo` in a folder with two texts."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "words.md").write_text(CURSOR)
    (tmp_path / "pumps.txt").write_text("The pump moves water.\n")
    async with RunningMesh(tmp_path, "--demo") as running, Demo(running, tmp_path) as client:
        yield client


async def agents_of(mesh: RunningMesh) -> list[int]:
    """The processes of the agents."""
    return [pid for pid, command in (await children_of(mesh.pid)).items() if " demo --child" in command]


async def test_agents_read_answer_and_watch(demo: Demo) -> None:
    await eventually(lambda: demo.has_read(1), within_s=WITHIN_S)
    assert {agent["agent_id"] for agent in (await demo.read("/agents"))["agents"]} == {"reader", "librarian"}
    (task,) = (await demo.read("/tasks"))["tasks"]
    assert (task["progress"]["done"], task["progress"]["total"]) == (2, 2)

    said = "**1. docs/words.md, line 3**\n```markdown\nA cursor is the position of one event.\nClients resume from it."
    assert said in await demo.ask("What are cursors?")
    assert "Nothing in 2 files" in await demo.ask("zebra")

    async def first_question() -> list[str]:
        session = await demo.read("/chat-history/sessions/demo")
        return [message["payload"]["content"] for message in session["messages"]][1:]

    answers = await eventually(first_question, within_s=WITHIN_S)
    assert len(answers) == 1
    assert said in answers[0]

    async def machine() -> Any:
        brains = (await demo.read("/brain/status"))["brains"]
        return next((brain["status"] for brain in brains if brain["brain_id"] == "machine"), None)

    assert 0 < (await eventually(machine, within_s=WITHIN_S))["memory_percent"] < 100


async def test_they_do_the_same_on_a_secured_mesh_and_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words.md").write_text(CURSOR)
    Vault.create(tmp_path / ".mesh" / "creds")
    async with RunningMesh(tmp_path, "--secure", "--demo") as running, Demo(running, tmp_path) as demo:
        await eventually(lambda: demo.has_read(1), within_s=WITHIN_S)
        assert {agent["agent_id"] for agent in (await demo.read("/agents"))["agents"]} == {"reader", "librarian"}
        assert "words.md, line 3" in await demo.ask("What are cursors?")

        async def first_question() -> bool:
            answer = await demo.get("/chat-history/sessions/demo")
            return answer.status_code == 200 and len(answer.json()["messages"]) == 2

        await eventually(first_question, within_s=WITHIN_S)

        async def machine() -> bool:
            return any(brain["brain_id"] == "machine" for brain in (await demo.read("/brain/status"))["brains"])

        await eventually(machine, within_s=WITHIN_S)
        metrics = await demo.get(f"{running.url}/metrics")
    assert 'mesh_nats_denied_total{kind="connect"} 0' in metrics.text
    assert "Violation" not in (tmp_path / ".mesh" / "nats-server.log").read_text()


async def test_names_of_others_are_not_taken(tmp_path: Path) -> None:
    vault = Vault.create(tmp_path / ".mesh" / "creds")
    assert ensure_badges(vault) == ensure_badges(vault)
    assert {name: len(entry.keys) for name, entry in vault.users().items()} == dict.fromkeys(
        ("reader", "librarian", "visitor"), 1
    )
    vault.revoke("visitor")
    vault.mint("agent", "visitor", sessions=["mine"])
    arguments = ("up", "--secure", "--demo", "--port", "0", "--nats-port", "0", "--data-dir", str(tmp_path / ".mesh"))
    assert "the demo needs the name visitor" in await asyncio.to_thread(refused, *arguments)


async def test_what_changes_is_read_again(demo: Demo) -> None:
    await eventually(lambda: demo.has_read(1), within_s=WITHIN_S)
    (demo.folder / "pumps.txt").unlink()
    (demo.folder / "animals.txt").write_text("Giraffes eat leaves.\n")
    await eventually(lambda: demo.has_read(2), within_s=WITHIN_S)
    assert "animals.txt, line 1" in await demo.ask("What do giraffes eat?")
    assert "Nothing in 2 files" in await demo.ask("What does the pump move?")


async def test_reading_ends_when_somebody_cancels_it(demo: Demo) -> None:
    await eventually(lambda: demo.has_read(1), within_s=WITHIN_S)
    for number in range(300):
        (demo.folder / f"more-{number}.txt").write_text("Water flows.\n")

    async def cancelled() -> list[dict[str, Any]]:
        tasks: list[dict[str, Any]] = (await demo.read("/tasks"))["tasks"]
        for task in tasks:
            if task["status"] == "running" and task["progress"]["done"]:
                await demo.post(f"/tasks/{task['task_id']}/cancel")
        return [task for task in tasks if task["status"] == "cancelled"]

    (task,) = await eventually(cancelled, within_s=WITHIN_S)
    assert 0 < task["progress"]["done"] < 300
    (demo.folder / "last.txt").write_text("Giraffes eat leaves.\n")
    await eventually(lambda: demo.has_read(2), within_s=WITHIN_S)
    tasks = (await demo.read("/tasks"))["tasks"]
    assert len(tasks) == 3
    assert sorted(task["progress"]["total"] for task in tasks) == [1, 2, task["progress"]["total"]]
    assert "last.txt, line 1" in await demo.ask("What do giraffes eat?")


async def test_agents_that_die_are_started_again_and_end_with_their_mesh(demo: Demo) -> None:
    async def answers() -> bool:
        return "docs/words.md" in await demo.ask("What is a cursor?")

    await eventually(answers, within_s=WITHIN_S)
    (pid,) = await agents_of(demo.mesh)
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: "the demo (process" in demo.mesh.log, within_s=WITHIN_S)
    await eventually(answers, within_s=60)
    (again,) = await agents_of(demo.mesh)
    assert await demo.mesh.stop() == 0
    await all_gone(again)


async def test_the_demo_alone_says_what_it_reads_and_stops_when_asked(nats_server: NatsServer, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(CURSOR)
    async with RunningMesh(tmp_path / "mesh", MESH_NATS_URL=nats_server.url):
        process = await asyncio.create_subprocess_exec(
            *(*MESH, "demo", str(tmp_path), "--nats-url", nats_server.url), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        try:
            line = (await process.stdout.readline()).decode()
            assert line == f"the reader, the librarian and the watchman are at work; they read {tmp_path}\n"
            process.terminate()
            assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def test_without_a_mesh_or_a_folder_it_says_so() -> None:
    assert "is not reachable" in refused("demo", "--nats-url", "nats://127.0.0.1:1")
    assert "does not exist" in refused("demo", "nowhere", code=2)
