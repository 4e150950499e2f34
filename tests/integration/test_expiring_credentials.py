"""Credentials that expire, are made anew, or are revoked, under an agent, an edge and an API that run on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from daena_mesh.asks import Ask
from daena_mesh.connection import Connection
from daena_mesh.credential_renewal import Renewal
from daena_mesh.credentials import read_credentials
from daena_mesh.embedded import NatsServer
from daena_mesh.mesh import Mesh
from daena_mesh.settings import MeshSettings
from daena_mesh.stream_writer import StreamWriter
from daena_mesh.vault import Vault
from mesh_api.settings import ApiSettings
from tests.support.api import Api, running_api
from tests.support.commands import mesh, refused
from tests.support.deadlines import eventually, within
from tests.support.edge import running_edge
from tests.support.ws_client import Client

pytestmark = pytest.mark.timeout(180)

BRIEF_S = 20
"""In which all of them are up on any machine; that they end is waited for."""
LONG_S = 90
"""Longer than looking at the file takes on any machine."""
CHAT = "/api/v1/agents/scout/chat"


class Parties:
    """An agent, an edge and an API, each with credentials of its own, and a client of each of the services."""

    def __init__(self, vault: Vault, api: Api, agent: Mesh, edge: Connection, watcher: Client) -> None:
        self.api = api
        self.watcher = watcher
        self.connections: Sequence[Connection] = (api.mesh.connection, agent.connection, edge)
        self._vault = vault

    def renew(self, ttl_s: int) -> None:
        renew(self._vault, ttl_s)

    async def are(self, state: str) -> None:
        await eventually(lambda: all(connection.state == state for connection in self.connections), within_s=60)

    async def talk(self, text: str) -> None:
        """Ask the agent through the API; question and answer come to the socket, which is the one of the beginning."""

        async def answer() -> str | None:
            body = {"message": text, "session_id": "s1"}
            asked = await self.api.client.post(CHAT, json=body, headers={"Prefer": "wait=20"}, timeout=40)
            return str(asked.json()["response"]) if asked.status_code == 200 else None

        assert await eventually(answer, within_s=60) == "yes"
        async with within(60):
            while text not in self.watcher.ledger.contents() or self.watcher.ledger.contents()[-1] != "yes":
                await self.watcher.frame(60)


def renew(vault: Vault, ttl_s: int) -> None:
    vault.mint("agent", "scout", sessions=["s1"], ttl_s=ttl_s, renew=True)
    for service in ("edge", "api"):
        vault.mint(service, service, ttl_s=ttl_s, renew=True)


@asynccontextmanager
async def parties(folder: Path, ttl_s: int) -> AsyncIterator[Parties]:
    vault = Vault.create(folder / "creds")
    async with (
        await NatsServer.start(folder / "mesh", port=0, trust=vault.trust()) as server,
        AsyncExitStack() as stack,
    ):
        vault.mint("agent", "scout", sessions=["s1"])
        for service in ("edge", "api"):
            vault.ensure(service)
        renew(vault, ttl_s)
        settings = ApiSettings(nats_url=server.url, nats_creds=str(vault.path_of("api")))
        api = await stack.enter_async_context(running_api(server.url, settings=settings))
        edge = await stack.enter_async_context(running_edge(server.url, nats_creds=vault.path_of("edge")))
        own = MeshSettings(nats_url=server.url, nats_creds=str(vault.path_of("scout")))
        agent_mesh = await stack.enter_async_context(Mesh(own, name="scout", wait_s=20))
        agent = await stack.enter_async_context(agent_mesh.agent("scout"))

        @agent.on_ask
        async def answer(_ask: Ask, out: StreamWriter) -> None:
            await out.write("yes")

        watcher = await stack.enter_async_context(edge.connect("/ws/chat/s1"))
        yield Parties(vault, api, agent_mesh, edge.edge.mesh.connection, watcher)


@pytest.mark.promise("P-CREDS-7")
async def test_who_runs_on_after_its_credentials_expired_takes_new_ones(tmp_path: Path) -> None:
    async with parties(tmp_path, BRIEF_S) as running:
        await running.are("degraded")
        assert (await running.api.client.get("/readyz")).status_code == 503
        running.renew(LONG_S)
        await running.are("connected")
        await running.talk("Are you all there again?")


@pytest.mark.promise("P-CREDS-7")
async def test_new_credentials_are_taken_before_the_old_ones_expire(tmp_path: Path) -> None:
    async with parties(tmp_path, LONG_S) as running:
        ends = time.time() + LONG_S
        await running.talk("Are you all there?")
        connects = [connection.connects for connection in running.connections]
        running.renew(2 * LONG_S)
        await eventually(
            lambda: all(now.connects > then for now, then in zip(running.connections, connects, strict=True)),
            within_s=60,
        )
        await running.are("connected")
        if time.time() < ends:  # nobody was thrown out: it was before the end
            await running.talk("Are you still all there?")
            assert [now.connects for now in running.connections] == [then + 1 for then in connects]


def test_only_credentials_of_the_same_name_that_count_longer_are_taken(tmp_path: Path) -> None:
    vault = Vault.create(tmp_path / "creds")
    path = vault.mint("agent", "scout", ttl_s=100).path
    renewal = Renewal(str(path))
    renewal.begin()
    assert not renewal._is_longer()
    vault.mint("agent", "scout", ttl_s=10, renew=True)
    assert not renewal._is_longer()
    path.write_text("half")
    assert not renewal._is_longer()
    path.write_bytes(vault.mint("agent", "other", ttl_s=1_000).path.read_bytes())
    assert not renewal._is_longer()
    path.unlink()
    assert not renewal._is_longer()
    vault.mint("agent", "scout", ttl_s=1_000, renew=True)
    assert renewal._is_longer()
    renewal.begin()
    vault.mint("agent", "scout", renew=True)
    assert renewal._is_longer()


def test_the_command_makes_credentials_that_expire(tmp_path: Path) -> None:
    here = ("--data-dir", str(tmp_path))
    Vault.create(tmp_path / "creds")
    before = int(time.time())
    for arguments in (("agent", "scout"), ("service", "edge"), ("ops", "ada")):
        done = mesh("creds", *arguments, "--ttl", "2h", *here)
        assert before + 7_200 <= read_credentials(done.stdout.strip()).expires_at <= int(time.time()) + 7_200
    assert read_credentials(mesh("creds", "agent", "lasting", *here).stdout.strip()).expires_at == 0
    assert "is no time such as" in refused("creds", "agent", "x", "--ttl", "soon", *here)
