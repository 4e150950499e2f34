"""Credentials as NATS enforces them: real keys, a real nats-server, and the real `nats` command."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg

from daena_mesh.connection import Connection
from daena_mesh.credentials import inbox_of, read_credentials
from daena_mesh.embedded import NatsServer
from daena_mesh.errors import ConfigurationError
from daena_mesh.layout import SIGNALS
from daena_mesh.mesh import Mesh
from daena_mesh.nats_claims import creds_text, signed, user_claims
from daena_mesh.nats_keys import KeyPair
from daena_mesh.settings import MeshSettings
from daena_mesh.vault import Vault
from mesh_api.settings import ApiSettings
from mesh_cli.nats import _start as start_nats
from tests.support.api import running_api
from tests.support.commands import MESH, mesh, refused
from tests.support.deadlines import eventually
from tests.support.running_mesh import RunningMesh

pytestmark = pytest.mark.timeout(120)


class Confined(NamedTuple):
    """A server that takes credentials alone, and the keys of who is trusted there."""

    server: NatsServer
    vault: Vault


@pytest_asyncio.fixture
async def confined(tmp_path: Path) -> AsyncIterator[Confined]:
    vault = Vault.create(tmp_path / "mesh" / "creds")
    async with await NatsServer.start(tmp_path / "mesh", port=0, trust=vault.trust()) as server:
        yield Confined(server, vault)


@asynccontextmanager
async def connected(server: NatsServer, path: Path) -> AsyncIterator[tuple[Client, list[str]]]:
    """Connect as somebody would who has no more than that file; give also what the server objects to."""
    objections: list[str] = []

    async def note(error: Exception) -> None:
        objections.append(str(error))

    client = await nats.connect(
        server.url,
        user_credentials=str(path),
        inbox_prefix=inbox_of(read_credentials(path)),
        error_cb=note,
        allow_reconnect=False,
    )
    try:
        yield client, objections
    finally:
        await client.close()


async def is_refused(server: NatsServer, path: Path | None) -> bool:
    """Whether the server does not let in who comes with that file, or with none."""
    connection = Connection([server.url], name="test", credentials=str(path) if path else None)
    connection.start()
    try:
        await connection.wait_tried(10)

        async def is_decided() -> bool:
            return connection.is_connected or "Authorization Violation" in str(connection.unavailable())

        await eventually(is_decided)
        return not connection.is_connected
    finally:
        await connection.close()


async def may_publish(client: Client, objections: list[str], subject: str) -> bool:
    """Whether the server lets it through."""
    await client.publish(subject, b"{}")
    return not await is_objected_to(client, objections, subject)


async def may_hear(client: Client, objections: list[str], subject: str) -> bool:
    async def ignore(_message: Msg) -> None: ...

    await client.subscribe(subject, cb=ignore)
    return not await is_objected_to(client, objections, subject)


async def is_objected_to(client: Client, objections: list[str], subject: str) -> bool:
    """Whether the server objected: it does before it answers a ping, and the client tells it soon after."""
    for _ in range(2):
        await client.flush()
    return any(f'"{subject}"'.lower() in objection.lower() for objection in objections)


ALLOWED = [
    *("agent.scout.activity", "agent.scout.status", "task.t1.update.scout", "ask.agent.scout.scout"),
    *("$KV.AGENTS.scout", "mesh.log.s1.scout", "chat.s1.typing.scout"),
    *("chat.s1.message.scout", "chat.s1.delta.scout", "chat.S-2.message.scout"),
    *("$JS.API.CONSUMER.MSG.NEXT.ASKS.agent-scout", "$JS.ACK.ASKS.agent-scout.1.2.3.4.5"),
    *("$JS.API.CONSUMER.MSG.NEXT.ASKS.department-hr", "$JS.ACK.ASKS.department-hr.1.2.3.4.5"),
]
DENIED = [
    *("agent.other.activity", "agent.scout.other", "agent.scout.status.x", "task.t1.update", "task.t1.update.other"),
    *("chat.s1.message", "chat.s1.message.other", "chat.s3.message.scout", "chat.s-2.message.scout", "chat.s1.stop"),
    *("live.chat.s1.message", "session.s1.update", "council.c.update", "brain.main.status", "presence.s1.join"),
    *("system.all.notice", "mesh.epoch.RECORDS", "mesh.log.s3.scout", "mesh.log.s1.other", "ask.agent.scout.other"),
    *("$KV.AGENTS.other", "$KV.PRESENCE.x", "$KV.REVOKED.x", "svc.other.cancel", "_INBOX.x", "_INBOX_other.x"),
    *("$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.RECORDS", "$JS.API.STREAM.DELETE.RECORDS"),
    *("$JS.API.STREAM.PURGE.RECORDS", "$JS.API.STREAM.CREATE.X", "$JS.API.STREAM.UPDATE.RECORDS"),
    *("$JS.API.STREAM.MSG.GET.RECORDS", "$JS.API.STREAM.MSG.DELETE.RECORDS", "$JS.API.DIRECT.GET.RECORDS"),
    *("$JS.API.DIRECT.GET.RECORDS.chat.s3.message", "$JS.API.CONSUMER.CREATE.RECORDS", "$JS.API.CONSUMER.NAMES.ASKS"),
    *("$JS.API.CONSUMER.CREATE.ASKS.x", "$JS.API.CONSUMER.DELETE.ASKS.agent-scout"),
    *("$JS.API.CONSUMER.MSG.NEXT.ASKS.agent-other", "$JS.API.CONSUMER.MSG.NEXT.ASKS.department-it"),
    *("$JS.ACK.ASKS.agent-other.1.2.3.4.5", "$SYS.REQ.SERVER.PING", "$SRV.PING", "other"),
]
HEARD = ["_INBOX_scout.>", "live.chat.s1.>", "live.session.s1.>", "$SRV.PING", "$SRV.INFO.scout", "svc.scout.cancel"]
UNHEARD = [
    *(">", "*", "live.>", "live.chat.>", "live.chat.s3.>", "live.agent.scout.>", "chat.s1.message", "ask.>"),
    *("_INBOX.>", "_INBOX_other.>", "$KV.AGENTS.*", "$SRV.>", "svc.>", "$JS.EVENT.>", "$SYS.>", "mesh.>"),
]


@pytest.mark.promise("P-CREDS-2")
async def test_an_agent_may_do_what_agents_may_and_nothing_else(confined: Confined) -> None:
    path = confined.vault.mint("agent", "scout", sessions=["s1", "S-2"], departments=["hr"]).path
    async with connected(confined.server, path) as (client, objections):
        assert [s for s in ALLOWED if not await may_publish(client, objections, s)] == []
        assert [s for s in HEARD if not await may_hear(client, objections, s)] == []
        assert [s for s in DENIED if await may_publish(client, objections, s)] == []
        assert [s for s in UNHEARD if await may_hear(client, objections, s)] == []


async def test_an_agent_without_sessions_and_departments_has_none(confined: Confined) -> None:
    path = confined.vault.mint("agent", "scout").path
    async with connected(confined.server, path) as (client, objections):
        assert await may_publish(client, objections, "agent.scout.activity")
        for subject in ("chat.s1.message.scout", "chat..message.scout", "$JS.API.CONSUMER.MSG.NEXT.ASKS.department-"):
            assert not await may_publish(client, objections, subject)
        assert not await may_hear(client, objections, "live.chat.*.>")


@pytest.mark.promise("P-CREDS-2")
async def test_an_edge_cannot_publish_as_an_agent_and_an_operator_cannot_publish(confined: Confined) -> None:
    denied = ["agent.scout.activity", "task.t1.update.scout", "chat.s1.message.scout", "ask.agent.x.scout"]
    denied += ["$KV.AGENTS.scout", "live.chat.s1.message", "$JS.API.STREAM.DELETE.RECORDS", "session.s1.update"]
    async with connected(confined.server, confined.vault.ensure("edge")) as (client, objections):
        assert [s for s in denied if await may_publish(client, objections, s)] == []
        assert await may_publish(client, objections, "presence.s1.join")
    more = ["chat.s1.message", "presence.s1.join", "system.all.notice", "$KV.REVOKED.x", "svc.scout.cancel", "mesh.x"]
    more += ["$JS.API.STREAM.PURGE.RECORDS", "$JS.API.STREAM.UPDATE.RECORDS", "$JS.API.CONSUMER.CREATE.ASKS.x"]
    async with connected(confined.server, confined.vault.mint("ops", "ada").path) as (client, objections):
        assert [s for s in [*denied, *more] if await may_publish(client, objections, s)] == []
        assert await may_hear(client, objections, "live.>")
        assert not await may_hear(client, objections, "_INBOX_scout.>")


@pytest.mark.promise("P-CREDS-2")
async def test_the_key_that_makes_agents_makes_nothing_more(confined: Confined, tmp_path: Path) -> None:
    keys = confined.vault.folder / "keys"
    minting, user = KeyPair((keys / "agent.nk").read_text().strip()), KeyPair.new("user")
    claims = user_claims("greedy", (keys / "app.pub").read_text().strip(), [])
    claims["nats"] |= {"pub": {"allow": [">"]}, "subs": -1, "data": -1, "payload": -1}
    (tmp_path / "greedy.creds").write_text(creds_text(signed(claims, user.public, minting, 1), user.seed))
    assert await is_refused(confined.server, tmp_path / "greedy.creds")
    assert await is_refused(confined.server, None)
    assert not await is_refused(confined.server, confined.vault.mint("agent", "scout").path)


def viewed(nats_cli: Path, environment: dict[str, str]) -> str:
    """What `nats stream view` shows, which insists on a terminal."""
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [str(nats_cli), "--context", "ada", "stream", "view", "RECORDS"],
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            check=False,
            timeout=30,
        )
        assert done.returncode == 0
        return os.read(ours, 65_536).decode(errors="replace")
    finally:
        os.close(ours)
        os.close(theirs)


async def revoke(confined: Confined, name: str) -> subprocess.CompletedProcess[str]:
    data_dir = str(confined.vault.folder.parent)
    return await asyncio.to_thread(
        mesh, "creds", "revoke", name, "--data-dir", data_dir, "--nats-url", confined.server.url
    )


@pytest.mark.promise("P-CREDS-3")
async def test_who_is_revoked_is_out_at_once_and_after_a_restart_and_others_stay(
    confined: Confined, tmp_path: Path
) -> None:
    server, vault = confined
    scout, other = vault.mint("agent", "scout").path, vault.mint("agent", "other").path
    kept = tmp_path / "kept.creds"
    kept.write_bytes(scout.read_bytes())
    vault.mint("agent", "scout", renew=True)
    async with (
        connected(server, kept) as (old, _),
        connected(server, scout) as (new, _),
        connected(server, other) as (bystander, objections),
    ):
        assert old.is_connected  # whose credentials were renewed is not disturbed
        done = await revoke(confined, "scout")
        assert (done.returncode, done.stdout) == (0, "scout is revoked.\n"), done.stderr
        await eventually(lambda: old.is_closed and new.is_closed)
        assert await may_publish(bystander, objections, "agent.other.activity")
    assert await is_refused(server, kept)
    await server.stop()
    async with await NatsServer.start(tmp_path / "mesh", port=0, trust=vault.trust()) as again:
        assert await is_refused(again, kept)
        back = vault.mint("agent", "scout").path
        async with connected(again, back) as (client, objections):
            assert await may_publish(client, objections, "agent.scout.activity")


async def test_a_revocation_that_no_server_heard_of_fails_and_may_be_repeated(confined: Confined) -> None:
    path = confined.vault.mint("agent", "scout").path
    data_dir = str(confined.vault.folder.parent)
    async with connected(confined.server, path) as (client, _):
        nowhere = ("--data-dir", data_dir, "--nats-url", "nats://127.0.0.1:1")
        sentence = await asyncio.to_thread(refused, "creds", "revoke", "scout", *nowhere)
        assert "scout is revoked for servers that start from now on, but none that runs was told" in sentence
        assert client.is_connected
        assert (await revoke(confined, "scout")).returncode == 0
        await eventually(lambda: client.is_closed)


async def test_the_api_and_the_sdk_work_with_their_own_credentials(confined: Confined) -> None:
    settings = ApiSettings(nats_url=confined.server.url, nats_creds=str(confined.vault.ensure("api")))
    async with running_api(confined.server.url, settings=settings) as api:
        answer = await api.client.post("/api/v1/daena/chat", json={"message": "Hello!", "session_id": "s1"})
        assert answer.status_code == 200, answer.text
        assert (await api.client.delete("/api/v1/chat-history/sessions/s1")).status_code == 200
        reader = str(confined.vault.mint("ops", "ada").path)
        async with Mesh(MeshSettings(nats_url=confined.server.url, nats_creds=reader), name="reader") as mesh:
            await eventually(lambda: mesh.connection.state == "connected")
    assert "Violation" not in confined.server.log_path.read_text()


async def test_after_a_cut_off_the_signals_begin_another_life_here_too(tmp_path: Path) -> None:
    vault = Vault.create(tmp_path / "creds")
    credentials = str(vault.ensure("up"))

    async def epoch(server: NatsServer) -> str:
        settings = MeshSettings(nats_url=server.url, nats_creds=credentials)
        async with Mesh(settings, name="test", provisions=True) as mesh:
            return mesh.log.epochs[SIGNALS].name

    server = await start_nats(tmp_path / "mesh", 0, vault)
    before = await epoch(server)
    server.kill()
    await server.wait()
    async with await start_nats(tmp_path / "mesh", 0, vault) as again:
        assert await epoch(again) != before
        assert "Violation" not in again.log_path.read_text()


def test_a_mesh_refuses_credentials_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "x.creds").write_text("nonsense")
    with pytest.raises(ConfigurationError, match=r"x\.creds cannot be read"):
        Mesh(MeshSettings(nats_creds=str(tmp_path / "x.creds")), name="any")


@pytest.mark.promise("P-CREDS-4")
@pytest.mark.nats_cli
async def test_the_whole_mesh_runs_secured_and_the_nats_command_gets_in(tmp_path: Path, nats_cli: Path) -> None:
    folder = tmp_path / "mesh"
    data_dir, home = str(folder / ".mesh"), str(tmp_path / "home")

    def creds(*arguments: str) -> str:
        done = mesh("creds", *arguments, "--data-dir", data_dir)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout.strip()

    creds("init")
    async with RunningMesh(folder, "--secure", "--edges", "1") as running:
        scout, ada = creds("agent", "scout", "--session", "s1"), creds("ops", "ada")
        environment = {**os.environ, "XDG_CONFIG_HOME": home}

        async def command(*arguments: str) -> subprocess.CompletedProcess[str]:
            return await asyncio.to_thread(
                subprocess.run,
                [str(nats_cli), *arguments],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=30,
            )

        told = await command(
            *("-s", running.nats_url, "--creds", scout, "pub", "chat.s1.message.scout"),
            json.dumps({"sender": "scout", "content": "secured hello"}),
        )
        assert told.returncode == 0, told.stderr
        denied = await command("-s", running.nats_url, "--creds", scout, "pub", "chat.s2.message.scout", "{}")
        assert re.search("(?i)permissions violation", denied.stdout + denied.stderr)
        environment["MESH_NATS_CREDS"] = ada
        emit = [*MESH, "emit", "agent.scout.activity", "{}", "--nats-url", running.nats_url]
        emitted = await asyncio.to_thread(
            subprocess.run, emit, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert (emitted.returncode, emitted.stdout) == (1, "")
        assert "the credentials do not allow this subject" in emitted.stderr
        del environment["MESH_NATS_CREDS"]
        nobody = await command("-s", running.nats_url, "pub", "agent.scout.activity", "{}")
        assert nobody.returncode != 0
        environment["MESH_NATS_URL"] = running.nats_url
        context = [*MESH, "creds", "context", "ada", "--data-dir", data_dir]
        written = await asyncio.to_thread(
            subprocess.run, context, env=environment, capture_output=True, text=True, check=True, timeout=30
        )
        assert json.loads(Path(written.stdout.strip()).read_text())["creds"] == ada

        newest = ("stream", "get", "RECORDS", "-S", "chat.s1.message.scout")
        assert "secured hello" in (await command("--context", "ada", *newest)).stdout
        assert "secured hello" in await asyncio.to_thread(viewed, nats_cli, environment)
        assert "mesh-api" in (await command("--context", "ada", "micro", "ls")).stdout
        assert (await command("--context", "ada", "stream", "purge", "RECORDS", "-f")).returncode != 0


def test_the_list_shows_who_there_is_and_a_context_is_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    here = ("--data-dir", str(tmp_path))
    vault = Vault.create(tmp_path / "creds")
    assert mesh("creds", "service", "brain", "--agent", "daena", *here).stdout.strip() == str(vault.path_of("brain"))
    assert "agent:daena" in read_credentials(vault.path_of("brain")).tags
    vault.mint("agent", "scout", sessions=["s1"], departments=["hr"])
    vault.mint("ops", "ada")
    vault.revoke("ada")
    assert [line.split() for line in mesh("creds", "list", *here).stdout.splitlines()] == [
        ["ada", "ops", "revoked"],
        ["brain", "brain", "1", "key"],
        ["scout", "agent", "1", "key", "session", "s1", "department", "hr"],
    ]
    assert "there are no credentials for 'ada'" in refused("creds", "context", "ada", *here)
    assert "'ops' is no service" in refused("creds", "service", "ops", *here)
    path = Path(mesh("creds", "context", "scout", "--nats-url", "nats://127.0.0.1:1", *here).stdout.strip())
    context = json.loads(path.read_text())
    assert (context["url"], context["inbox_prefix"]) == ("nats://127.0.0.1:1", "_INBOX_scout")
    assert path.stat().st_mode & 0o777 == 0o600
    assert mesh("creds", "context", "scout", *here).returncode == 0
    path.write_text(json.dumps({**context, "creds": "/others.creds"}))
    assert "is there already, with other credentials" in refused("creds", "context", "scout", *here)


async def test_without_keys_a_secured_mesh_does_not_start(tmp_path: Path) -> None:
    arguments = ("up", "--secure", "--port", "0", "--nats-port", "0", "--data-dir", str(tmp_path))
    assert "`mesh creds init` makes them" in await asyncio.to_thread(refused, *arguments)
