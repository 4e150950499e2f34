"""`mesh up --secure` as people run it, and an agent as a process of its own that holds its creds file alone."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import httpx
import nats
import pytest

from daena_mesh.vault import Vault
from tests.support.commands import mesh
from tests.support.deadlines import eventually
from tests.support.markdown import blocks
from tests.support.running_mesh import RunningMesh
from tests.support.story import Teller
from tests.support.tracked import ROOT

AGENTS = ROOT / "docs" / "agents.md"
CHAT = "/api/v1/agents/researcher/chat"
REFUSED = [
    *("agent.other.activity", "task.t1.update.other", "chat.s-42.message", "chat.s-42.message.other"),
    *("chat.other.message.researcher", "session.s-42.updated", "council.c1.update", "brain.main.status"),
    *("live.chat.s-42.message", "presence.chat_s-42.join", "system.all.notice", "ask.agent.scout.other"),
    *("$KV.AGENTS.other", "$KV.REVOKED.x", "_INBOX_other.x", "$JS.API.STREAM.DELETE.RECORDS"),
    *("$JS.API.STREAM.PURGE.RECORDS", "$JS.API.DIRECT.GET.RECORDS", "$JS.API.CONSUMER.CREATE.RECORDS.x"),
    *("$SYS.REQ.SERVER.PING", "mesh.log.other.researcher", "svc.other.cancel"),
]
UNHEARD = ["live.>", "live.chat.other.>", "chat.>", "_INBOX.>", "_INBOX_other.>", "$KV.>", "$SYS.>", "ask.>", ">"]

pytestmark = pytest.mark.timeout(180)


@pytest.mark.promise("P-CREDS-5")
@pytest.mark.promise("P-CREDS-7")
async def test_a_process_with_its_file_alone_does_all_that_agents_do_and_nothing_else(tmp_path: Path) -> None:
    (code,) = [block.code for block in blocks(AGENTS.read_text(encoding="utf-8")) if 'agent("researcher"' in block.code]
    (tmp_path / "agent.py").write_text(code)
    vault = Vault.create(tmp_path / "mesh" / ".mesh" / "creds")
    path = vault.mint("agent", "researcher", sessions=["s-42"]).path
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MESH_")}
    async with RunningMesh(tmp_path / "mesh", "--secure") as running, httpx.AsyncClient(base_url=running.url) as web:
        environment |= {"MESH_NATS_URL": running.nats_url, "MESH_NATS_CREDS": str(path), "PYTHONWARNINGS": "error"}

        async def denied() -> list[str]:
            lines = (await web.get("/metrics")).text.splitlines()
            return [line for line in lines if line.startswith("mesh_nats_denied_total") and not line.endswith(" 0")]

        async with Teller(f"{sys.executable} -u agent.py", tmp_path, environment) as agent:

            async def is_done() -> bool:
                task = await web.get("/api/v1/tasks/t1")
                return task.status_code == 200 and task.json()["status"] == "completed"

            async def answers() -> bool:
                body = {"message": "What is the answer?", "session_id": "s-42"}
                asked = await web.post(CHAT, json=body, headers={"Prefer": "wait=30"}, timeout=40)
                return asked.status_code == 200 and asked.json()["response"] == "42"

            async def is_heard(text: str) -> bool:
                body = {"message": text, "session_id": "s-42"}
                assert (await web.post("/api/v1/daena/chat", json=body)).status_code == 200
                return text in agent.told

            await eventually(is_done, within_s=60)
            assert await answers(), agent.told
            await eventually(lambda: is_heard("Are you there?"), within_s=60)
            (shown,) = (await web.get("/api/v1/agents")).json()["agents"]
            assert (shown["agent_id"], shown["activity"]) == ("researcher", {"state": "searching", "query": "nats"})
            assert await denied() == []
            assert "Violation" not in (running.data_dir / "nats-server.log").read_text()

            await may_nothing_else(running.nats_url, path)
            await eventually(denied, within_s=30)

            # Revoked, and given others: who is thrown out comes back by itself, with what lies in its file then.
            revoked = await asyncio.to_thread(mesh, *revoking(running))
            assert revoked.returncode == 0, revoked.stderr
            vault.mint("agent", "researcher", sessions=["s-42"])
            await eventually(answers, within_s=60)
            await eventually(lambda: is_heard("And are you still there?"), within_s=60)


def revoking(running: RunningMesh) -> list[str]:
    return ["creds", "revoke", "researcher", "--data-dir", str(running.data_dir), "--nats-url", running.nats_url]


async def may_nothing_else(url: str, path: Path) -> None:
    """Try it with the same file, and no SDK that would refuse it first."""
    objections: list[str] = []

    async def note(error: Exception) -> None:
        objections.append(str(error).lower())

    async def ignore(_message: object) -> None: ...

    client = await nats.connect(url, user_credentials=str(path), inbox_prefix="_INBOX_researcher", error_cb=note)
    try:
        for subject in REFUSED:
            await client.publish(subject, b"{}")
        for subject in UNHEARD:
            await client.subscribe(subject, cb=ignore)
        await client.flush()
        await eventually(lambda: len(objections) >= len(REFUSED) + len(UNHEARD))
        for subject in [*REFUSED, *UNHEARD]:
            assert any(f'"{subject.lower()}"' in objection for objection in objections), subject
        assert client.is_connected
    finally:
        await client.close()
