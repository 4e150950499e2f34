"""People on a secured mesh speak by REST and over sockets, at `mesh up` and at an edge with credentials of its own."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from daena_mesh.vault import Vault
from tests.support.commands import MESH
from tests.support.deadlines import within
from tests.support.running_mesh import RunningMesh
from tests.support.ws_client import Client

KEY = "a key of tokens, for tests alone, long enough"

pytestmark = pytest.mark.timeout(120)


async def token_of(user: str, session_id: str = "s1") -> str:
    process = await asyncio.create_subprocess_exec(
        *(*MESH, "token", user, "--read", f"chat.{session_id}.>", "--read", f"session.{session_id}.>"),
        *("--write", f"chat.{session_id}.>", "--write", "agent.ada.activity"),
        env={"MESH_TOKEN_KEY": KEY},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    return said.decode().strip()


async def send(client: Client, ident: str, subject: str, content: str) -> str:
    """Send, and give the code of the error, or nothing."""
    payload = {"content": content}
    await client.ws.send(json.dumps({"type": "send", "id": ident, "subject": subject, "payload": payload}))
    async with within(30):
        while (frame := await client.frame(30))["event_type"] not in {"ack", "error"}:
            pass
    assert frame["payload"]["id"] == ident
    return str(frame["payload"].get("code", ""))


@pytest.mark.parametrize("variables", [{}, {"MESH_TOKEN_KEY": KEY}], ids=["without tokens", "with tokens"])
async def test_people_chat_by_rest_and_over_sockets_and_nats_refuses_nothing(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    Vault.create(tmp_path / ".mesh" / "creds")
    bearer = {"Authorization": f"Bearer {await token_of('ada')}"} if variables else {}
    bob = {"Authorization": f"Bearer {await token_of('bob', 's2')}"}
    async with (
        RunningMesh(tmp_path, "--secure", "--edges", "1", **variables) as running,
        httpx.AsyncClient(base_url=running.url, headers=bearer) as web,
    ):
        sender = "ada" if variables else "user"
        doors = [running.url, *running.edge_urls]
        expected: list[str] = []
        for number, door in enumerate(doors):
            url = f"{door.replace('http', 'ws', 1)}/ws/chat/s1"
            async with Client(url, additional_headers=bearer) as client:
                await client.ws.send('{"type":"send","subject":"chat.s1.typing","payload":{}}')
                assert await send(client, f"a{number}", "chat.s1.message", f"over {number}") == ""
                expected.append(f"over {number}")
                if variables:
                    assert await send(client, f"b{number}", "chat.s1.message.ada", f"named {number}") == ""
                    assert await send(client, f"c{number}", "chat.s1.message.eve", "as eve") == "not_allowed"
                    expected.append(f"named {number}")
                body = {"message": f"by REST {number}", "session_id": "s1"}
                assert (await web.post("/api/v1/daena/chat", json=body)).status_code == 200
                expected.append(f"by REST {number}")
                async with within(30):
                    while f"by REST {number}" not in client.ledger.contents():
                        await client.frame(30)
        if variables:  # what only agents may publish is refused at once, and not by a silence of NATS
            url = f"{running.edge_urls[0].replace('http', 'ws', 1)}/ws/chat/s1"
            async with Client(url, additional_headers=bearer) as client:
                assert await send(client, "d", "agent.ada.activity", "as an agent") == "not_allowed"
            members = "/api/v1/chat-history/sessions/s1/members"
            assert (await web.post(members, json={"add": ["bob"]})).status_code == 200
            for number, door in enumerate(doors):
                url = f"{door.replace('http', 'ws', 1)}/ws/chat/s1"
                async with Client(url, additional_headers=bob) as client:
                    assert await send(client, f"e{number}", "chat.s1.typing", "") == ""
                    assert (await web.post(members, json={"remove": ["bob"]})).status_code == 200
                    assert (await client.closing())[0] == 4403
                    assert (await web.post(members, json={"add": ["bob"]})).status_code == 200
        session = (await web.get("/api/v1/chat-history/sessions/s1")).json()
        told = [(message["payload"]["sender"], message["payload"]["content"]) for message in session["messages"]]
        assert [content for _, content in told] == expected
        assert {who for who, _ in told} == {sender}
    assert "Violation" not in (running.data_dir / "nats-server.log").read_text()
