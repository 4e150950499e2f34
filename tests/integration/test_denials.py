"""Who tries what NATS does not allow is seen by operators: by a notice, a metric, and what the servers tell."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import httpx
import nats
import pytest

from daena_mesh.connection import Connection
from daena_mesh.feed import Gap
from daena_mesh.mesh import Mesh
from daena_mesh.settings import MeshSettings
from daena_mesh.vault import Vault
from tests.support.commands import MESH, refused
from tests.support.deadlines import eventually, within
from tests.support.running_mesh import RunningMesh
from tests.support.story import Teller

pytestmark = pytest.mark.timeout(120)


async def ignore(_anything: object) -> None: ...


@pytest.mark.promise("P-CREDS-6")
async def test_denied_attempts_are_visible_to_operators(tmp_path: Path) -> None:
    vault = Vault.create(tmp_path / ".mesh" / "creds")
    scout = vault.mint("agent", "scout", sessions=["s1"]).path
    ada = str(vault.mint("ops", "ada").path)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MESH_")}
    async with RunningMesh(tmp_path, "--secure") as running, within(90):
        environment |= {"MESH_NATS_URL": running.nats_url, "MESH_NATS_CREDS": str(vault.system_creds)}
        tail = " ".join([*MESH, "tail", "'$SYS.SERVER.*.CLIENT.AUTH.ERR'"])
        settings = MeshSettings(nats_url=running.nats_url, nats_creds=ada)
        async with (
            Mesh(settings, name="ada") as mesh,
            mesh.subscribe("system.security.notice") as feed,
            Teller(tail, tmp_path, environment) as teller,
        ):
            client = await nats.connect(
                running.nats_url,
                user_credentials=str(scout),
                inbox_prefix="_INBOX_scout",
                name='x" - "A/B/jwt:U" - Publish Violation - Subject "forged"',
                error_cb=ignore,
            )
            for _ in range(3):
                await client.publish("agent.other.activity", b"{}")
            await client.subscribe("live.>", cb=ignore)
            await client.flush()
            told: dict[tuple[str, str], int] = {}
            while sum(told.values()) < 4:
                event = await anext(feed)
                assert not isinstance(event, Gap)
                said = event.payload
                assert said["user"] == "scout"
                assert said["level"] == "warning"
                key = (said["kind"], said["subject"])
                told[key] = told.get(key, 0) + said["count"]
            assert told == {("publish", "agent.other.activity"): 3, ("subscribe", "live.>"): 1}
            assert client.is_connected
            await client.close()

            async def is_told() -> bool:
                nobody = Connection([running.nats_url], name="nobody")
                nobody.start()
                await nobody.wait_tried(10)
                await nobody.close()
                return "Authentication Failure" in teller.told

            await eventually(is_told, within_s=30)
            async with httpx.AsyncClient() as web:
                figures = (await web.get(f"{running.url}/metrics")).text
            assert 'mesh_nats_denied_total{kind="publish"} 3' in figures
            assert 'mesh_nats_denied_total{kind="subscribe"} 1' in figures


async def test_who_has_no_credentials_of_the_system_is_told_what_to_do(tmp_path: Path) -> None:
    for pattern in ("$SYS.>", "$SYS.a b", "$SYS.\r\nPUB x 0"):
        sentence = await asyncio.to_thread(refused, "tail", pattern, "--nats-url", "nats://127.0.0.1:1")
        assert "system.creds" in sentence or "is no pattern" in sentence
    assert sys.executable in MESH
