"""The agents of docs/agents.md: with the SDK, and without it in Python, JavaScript, Go and with the `nats` command."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from daena_mesh.embedded import NatsServer, find_binary
from tests.support.api import Api, running_api
from tests.support.deadlines import eventually
from tests.support.markdown import blocks
from tests.support.real_parties import find, nats_cli_path, node_path, skip
from tests.support.story import Teller
from tests.support.tracked import ROOT

DOCUMENT = list(blocks((ROOT / "docs" / "agents.md").read_text(encoding="utf-8")))
NATIVE = ROOT / "tests" / "native"

pytestmark = pytest.mark.timeout(180)


def snippet(language: str, word: str) -> str:
    (found,) = [block.code for block in DOCUMENT if block.language == language and word in block.code]
    return found


def python(folder: Path) -> str:
    (folder / "agent.py").write_text(snippet("python", "import nats"))
    return f"{sys.executable} agent.py"


def javascript(folder: Path) -> str:
    node, modules = node_path(), NATIVE / "node_modules"
    if not modules.exists():
        skip("run npm ci --prefix tests/native to run this test")
    (folder / "agent.mjs").write_text(snippet("javascript", "transport-node"))
    (folder / "node_modules").symlink_to(modules, target_is_directory=True)
    return f"{node} agent.mjs"


def go(folder: Path) -> str:
    program = find(["go"])
    if program is None:
        skip("install Go to run this test")
    (folder / "agent.go").write_text(snippet("go", "package main"))
    for name in ("go.mod", "go.sum"):
        shutil.copy(NATIVE / name, folder)
    built = subprocess.run(
        [program, "build", "-o", "agent", "."], cwd=folder, capture_output=True, text=True, check=False, timeout=150
    )
    assert built.returncode == 0, built.stderr
    return "./agent"


def nats_command(folder: Path) -> str:
    (folder / "agent.sh").write_text(snippet("shell-script", "nats consumer next"))
    return f"env PATH={nats_cli_path().parent}:{os.environ['PATH']} sh agent.sh"


class Running(NamedTuple):
    """An agent, and the API of its mesh."""

    api: Api
    teller: Teller


@asynccontextmanager
async def agent(nats_url: str, folder: Path, command: str) -> AsyncIterator[Running]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MESH_")}
    environment |= {"NATS_URL": nats_url, "MESH_NATS_URL": nats_url, "PYTHONWARNINGS": "error"}
    async with running_api(nats_url) as api, Teller(command, folder, environment) as teller:
        yield Running(api, teller)


async def shown(api: Api, name: str) -> dict[str, Any] | None:
    """Give what the API says of an agent."""
    agents = (await api.client.get("/api/v1/agents")).json()["agents"]
    return next((agent for agent in agents if agent["agent_id"] == name), None)


async def asked(api: Api, name: str, message: str, **more: str) -> dict[str, Any]:
    answer = await api.client.post(
        f"/api/v1/agents/{name}/chat", json={"message": message, **more}, headers={"Prefer": "wait=30"}, timeout=40
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


# What an agent may do that has credentials of its own, here for scout in session s1; PULL and ACK name its consumer.
CONFINED = """
listen: "127.0.0.1:-1"
ports_file_dir: "{folder}"
jetstream {{ store_dir: "{folder}" }}
authorization {{ users: [
    {{ user: mesh, password: mesh }}
    {{ user: scout, password: scout, permissions: {{
        publish: {{ allow: [
            "agent.scout.activity", "agent.scout.status", "task.*.update.scout", "ask.*.*.scout", "$KV.AGENTS.scout",
            "chat.s1.message.scout", "chat.s1.delta.scout", "chat.s1.typing.scout", "mesh.log.s1.scout",
            "$JS.API.CONSUMER.MSG.NEXT.ASKS.agent-scout", "$JS.ACK.ASKS.agent-scout.>"
        ] }}
        subscribe: {{ allow: [
            "_INBOX_scout.>", "live.chat.s1.>", "live.session.s1.>", "$SRV.PING", "$SRV.INFO", "$SRV.STATS",
            "$SRV.*.scout", "$SRV.*.scout.*", "svc.scout.>"
        ] }}
        allow_responses: {{ max: 1, expires: "5s" }}
    }} }}
] }}
"""


@pytest_asyncio.fixture
async def confining(tmp_path: Path) -> AsyncIterator[int]:
    """Give the port of a nats-server where an agent may do what agents may, and nothing else."""
    folder = tmp_path / "nats"
    folder.mkdir()
    (folder / "conf").write_text(CONFINED.format(folder=folder))
    log = tmp_path / "nats.log"
    command = [str(find_binary()), "-c", str(folder / "conf"), "-l", str(log)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        listed = await eventually(lambda: [path.read_text() for path in folder.glob("*.ports")])
        yield int(re.findall(r":(\d+)\"", listed[0])[0])
        assert "Permissions Violation" not in log.read_text()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("language", [python, javascript, go])
async def test_an_agent_without_the_sdk_needs_no_more_rights_than_agents_have(
    confining: int, tmp_path: Path, language: Callable[[Path], str]
) -> None:
    server = f"127.0.0.1:{confining}"
    environment = {**os.environ, "NATS_URL": f"nats://scout:scout@{server}"}
    async with (
        running_api(f"nats://mesh:mesh@{server}") as api,
        Teller(language(tmp_path), tmp_path, environment) as teller,
    ):
        await eventually(lambda: shown(api, "scout"), within_s=30)
        answer = await asked(api, "scout", "Hello!", session_id="s1")
        assert answer["response"] == "You said: Hello!", teller.told


@pytest.mark.promise("P-NATIVE-2")
@pytest.mark.parametrize("language", [python, javascript, go, nats_command])
async def test_an_agent_without_the_sdk_lives_and_answers(
    nats_server: NatsServer, tmp_path: Path, language: Callable[[Path], str]
) -> None:
    async with agent(nats_server.url, tmp_path, language(tmp_path)) as (api, teller):

        async def is_there() -> bool:
            found = await shown(api, "scout")
            return found is not None and found["status"] == "online" and found["activity"] == {"state": "waiting"}

        await eventually(is_there, within_s=30)
        for said in ("Hello!", "Once more."):
            answer = await asked(api, "scout", said)
            assert answer["response"] == f"You said: {said}", teller.told
        session = (await api.client.get(f"/api/v1/chat-history/sessions/{answer['session_id']}")).json()
        replies = [message["payload"] for message in session["messages"] if message["payload"]["sender"] == "scout"]
        assert [reply["metadata"] for reply in replies] == [{"in_reply_to": answer["message_id"]}]

        async def is_taken() -> bool:
            return (await api.mesh.connection.client.jetstream().stream_info("ASKS")).state.messages == 0

        await eventually(is_taken)


async def test_five_lines_are_an_agent(nats_server: NatsServer, tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text(snippet("python", 'mesh.agent("scout"'))
    async with agent(nats_server.url, tmp_path, f"{sys.executable} agent.py") as (api, _):

        async def is_there() -> bool:
            found = await shown(api, "scout")
            return found is not None and found["activity"] == {"state": "searching", "query": "nats"}

        await eventually(is_there, within_s=30)


def test_the_readme_shows_the_same() -> None:
    shown = [block.code for block in blocks((ROOT / "README.md").read_text(encoding="utf-8"))]
    assert snippet("python", 'mesh.agent("researcher"') in shown


async def test_all_of_it_runs_as_shown(nats_server: NatsServer, tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text(snippet("python", 'mesh.agent("researcher"'))
    async with agent(nats_server.url, tmp_path, f"{sys.executable} -u agent.py") as (api, teller):

        async def is_done() -> bool:
            task = await api.client.get("/api/v1/tasks/t1")
            return task.status_code == 200 and task.json()["status"] == "completed"

        await eventually(is_done, within_s=30)
        assert (await asked(api, "researcher", "What is the answer?"))["response"] == "42"
        messages = [event.payload["content"] for event in await api.mesh.chat("s-42").history()]
        assert messages == ["Hello"]
        assert (await shown(api, "researcher") or {})["activity"] == {"state": "searching", "query": "nats"}

        async def is_heard() -> bool:
            await api.mesh.chat("s-42").send("Are you there?", sender="ada")
            return "ada Are you there?" in teller.told

        await eventually(is_heard, within_s=30)
