"""An agent that holds its credentials and nothing else: with the SDK it does what agents do, through NATS alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import nats
import pytest
import pytest_asyncio

from daena_mesh.asks import Ask
from daena_mesh.embedded import NatsServer
from daena_mesh.errors import ConfigurationError, MeshUnavailable
from daena_mesh.layout import RECORDS
from daena_mesh.log_door import LogRequest
from daena_mesh.mesh import Mesh
from daena_mesh.settings import MeshSettings
from daena_mesh.stream_writer import StreamWriter
from daena_mesh.vault import Vault
from mesh_api.settings import ApiSettings
from tests.support.api import Api, running_api
from tests.support.deadlines import eventually, within
from tests.support.markdown import blocks
from tests.support.story import Teller
from tests.support.tracked import ROOT

AGENTS = ROOT / "docs" / "agents.md"

pytestmark = pytest.mark.timeout(120)


class Secured(NamedTuple):
    """An API on a server that takes credentials alone."""

    server: NatsServer
    vault: Vault
    api: Api


@pytest_asyncio.fixture
async def secured(tmp_path: Path) -> AsyncIterator[Secured]:
    vault = Vault.create(tmp_path / "creds")
    async with await NatsServer.start(tmp_path / "mesh", port=0, trust=vault.trust()) as server:
        settings = ApiSettings(nats_url=server.url, nats_creds=str(vault.ensure("api")))
        async with running_api(server.url, settings=settings) as api:
            yield Secured(server, vault, api)


def mesh_of(secured: Secured, name: str, *sessions: str) -> Mesh:
    path = secured.vault.mint("agent", name, sessions=sessions).path
    return Mesh(MeshSettings(nats_url=secured.server.url, nats_creds=str(path)), name=name)


async def said(secured: Secured, session: str, message: str) -> None:
    answer = await secured.api.client.post("/api/v1/daena/chat", json={"message": message, "session_id": session})
    assert answer.status_code == 200, answer.text


@pytest.mark.promise("P-CREDS-5")
async def test_it_does_all_that_agents_do_and_is_never_refused(secured: Secured) -> None:
    client = secured.api.client
    await said(secured, "s1", "before")
    await said(secured, "s2", "elsewhere")
    async with mesh_of(secured, "scout", "s1", "s2") as mesh, mesh.agent("scout") as agent:

        @agent.on_ask
        async def answer(_ask: Ask, out: StreamWriter) -> None:
            await out.write("4")
            await out.write("2")

        await agent.activity("searching", query="nats")
        async with agent.task("t1", total=2) as task:
            await task.advance(2)
        before = [event.payload["content"] for event in await mesh.chat("s1").history()]
        assert before == ["before"]
        async with mesh.chat("s1").stream(sender="scout") as out:
            await out.write("Hel")
            await out.write("lo")
        assert out.ack is not None
        assert out.ack.cursor

        async def is_done() -> bool:
            found = await client.get("/api/v1/tasks/t1")
            return found.status_code == 200 and found.json()["status"] == "completed"

        await eventually(is_done, within_s=30)
        body: dict[str, Any] = {"message": "What is the answer?", "session_id": "s1"}
        asked = await client.post("/api/v1/agents/scout/chat", json=body, headers={"Prefer": "wait=30"}, timeout=40)
        assert asked.json()["response"] == "42", asked.text
        heard: list[str] = []

        listening = asyncio.create_task(listen_since(mesh, out.ack.cursor, heard))
        await eventually(lambda: heard == ["What is the answer?", "42"], within_s=30)
        await said(secured, "s1", "live")
        await eventually(lambda: heard[2:] == ["live"], within_s=30)
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening
    assert "Violation" not in secured.server.log_path.read_text()


async def listen_since(mesh: Mesh, cursor: str, heard: list[str]) -> None:
    async for event in mesh.chat("s1").listen(since=cursor):
        heard.append(event.payload["content"])  # noqa: PERF401 - it is looked at meanwhile


@pytest.mark.promise("P-CREDS-5")
async def test_a_process_with_its_file_alone_runs_as_the_document_shows_it(secured: Secured, tmp_path: Path) -> None:
    (code,) = [block.code for block in blocks(AGENTS.read_text(encoding="utf-8")) if 'agent("researcher"' in block.code]
    (tmp_path / "agent.py").write_text(code)
    path = secured.vault.mint("agent", "researcher", sessions=["s-42"]).path
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MESH_")}
    environment |= {"MESH_NATS_URL": secured.server.url, "MESH_NATS_CREDS": str(path), "PYTHONWARNINGS": "error"}
    client = secured.api.client
    async with Teller(f"{sys.executable} -u agent.py", tmp_path, environment) as teller:

        async def is_done() -> bool:
            task = await client.get("/api/v1/tasks/t1")
            return task.status_code == 200 and task.json()["status"] == "completed"

        await eventually(is_done, within_s=30)
        body = {"message": "What is the answer?", "session_id": "s-42"}
        asked = await client.post(
            "/api/v1/agents/researcher/chat", json=body, headers={"Prefer": "wait=30"}, timeout=40
        )
        assert asked.json()["response"] == "42", teller.told

        async def is_heard() -> bool:
            await said(secured, "s-42", "Are you there?")
            return "Are you there?" in teller.told

        await eventually(is_heard, within_s=30)
    assert "Violation" not in secured.server.log_path.read_text()


@pytest.mark.promise("P-CREDS-5")
async def test_it_reads_two_sessions_and_no_third(secured: Secured) -> None:
    async with mesh_of(secured, "scout", "s1", "s2") as mesh:
        async with mesh.subscribe("chat.s1.message", "chat.s2.message") as feed:
            await said(secured, "s1", "one")
            await said(secured, "s2", "two")
            async with within(30):
                found = [await anext(feed), await anext(feed)]
        assert [item.payload["content"] for item in found] == ["one", "two"]  # type: ignore[union-attr]
        newest = await mesh.log.lasts(RECORDS, ["chat.s1.message", "chat.s2.message"], 0)
        assert newest is not None
        subjects = [stored.subject for stored in newest.messages]
        assert subjects == [b"mesh.epoch.RECORDS", b"chat.s1.message", b"chat.s2.message"]
        assert newest.stand >= newest.messages[-1].seq
        for pattern in ("chat.s3.message", "chat.*.message", "agent.>", ">"):
            with pytest.raises(ConfigurationError, match=r"the credentials of scout are not for"):
                mesh.subscribe(pattern)
        with pytest.raises(ConfigurationError, match=r"mesh creds agent scout --session"):
            mesh.chat("s3")
        with pytest.raises(ConfigurationError, match="the credentials of scout are not those of 'other'"):
            mesh.agent("other")


async def test_it_goes_on_listening_over_a_restart_of_nats(secured: Secured, tmp_path: Path) -> None:
    async with (
        mesh_of(secured, "scout", "s1", "s2") as mesh,
        mesh.subscribe("chat.s1.message", "chat.s2.message") as feed,
    ):
        await said(secured, "s1", "before")
        async with within(30):
            assert (await anext(feed)).payload["content"] == "before"  # type: ignore[union-attr]
        connects, port = mesh.connection.connects, secured.server.port
        await secured.server.stop()
        async with await NatsServer.start(tmp_path / "mesh", port=port, trust=secured.vault.trust()):
            await eventually(lambda: secured.api.mesh.connection.state == "connected", within_s=30)
            await said(secured, "s2", "after")
            async with within(30):
                assert (await anext(feed)).payload["content"] == "after"  # type: ignore[union-attr]
            assert mesh.connection.connects > connects


async def test_without_a_session_it_lives_works_and_is_asked(secured: Secured) -> None:
    async with mesh_of(secured, "hermit") as mesh, mesh.agent("hermit") as agent:
        await agent.activity("thinking")

        async def is_shown() -> bool:
            agents = (await secured.api.client.get("/api/v1/agents")).json()["agents"]
            return any(a["agent_id"] == "hermit" and a["activity"] == {"state": "thinking"} for a in agents)

        await eventually(is_shown, within_s=30)
    assert "Violation" not in secured.server.log_path.read_text()


@pytest.mark.promise("P-CREDS-5")
async def test_the_desk_tells_nobody_else_and_nothing_else(secured: Secured) -> None:
    await said(secured, "s1", "mine")
    await said(secured, "s2", "not mine")
    path = secured.vault.mint("agent", "scout", sessions=["s1"]).path
    client = await nats.connect(secured.server.url, user_credentials=str(path), inbox_prefix="_INBOX_scout")
    try:

        async def ask(verb: str, **request: Any) -> dict[str, Any]:
            body = msgspec.json.encode(LogRequest(verb, "RECORDS", request))
            reply = await client.request("mesh.log.s1.scout", body, timeout=10)
            answer: dict[str, Any] = msgspec.json.decode(reply.data)
            return answer

        last = await ask("STREAM.MSG.GET", last_by_subj="chat.s1.message")
        assert last["message"]["subject"] == "chat.s1.message"
        other = await secured.api.mesh.log.head("RECORDS", ["chat.s2.message"])
        refused: list[tuple[str, dict[str, Any]]] = [
            ("STREAM.MSG.GET", {"last_by_subj": "chat.s2.message"}),
            ("STREAM.MSG.GET", {"seq": other}),
            ("STREAM.PURGE", {}),
            ("STREAM.INFO", {"subjects_filter": ">"}),
        ]
        for verb, request in refused:
            answer = await ask(verb, **request)
            assert "message" not in answer
            assert answer["error"]["code"] in {403, 404}
        assert (await ask("STREAM.MSG.GET", seq=last["message"]["seq"]))["message"] == last["message"]

        heard: list[bytes] = []
        secured.api.mesh.connection.subscribe("live.chat.s1.>", lambda subject, *_: heard.append(subject))
        await secured.api.mesh.connection.flush()
        body = msgspec.json.encode(LogRequest("STREAM.MSG.GET", "RECORDS", {"last_by_subj": "chat.s1.message"}))
        await client.publish("mesh.log.s1.scout", body, reply="live.chat.s1.message")
        await ask("STREAM.INFO")  # which is answered after it
        await secured.api.mesh.connection.flush()
        assert heard == []
    finally:
        await client.close()


async def test_where_no_api_runs_an_agent_says_that_it_cannot_read(secured: Secured, tmp_path: Path) -> None:
    vault = Vault.create(tmp_path / "alone-creds")
    async with await NatsServer.start(tmp_path / "alone", port=0, trust=vault.trust()) as server:
        path = str(vault.mint("agent", "scout", sessions=["s1"]).path)
        mesh = Mesh(MeshSettings(nats_url=server.url, nats_creds=path), name="scout", wait_s=1)
        with pytest.raises(MeshUnavailable):
            async with mesh:
                pass
