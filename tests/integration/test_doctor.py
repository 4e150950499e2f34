"""`mesh doctor` with real servers: a mesh that is well, and each illness that can be had for real."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from daena_mesh.connection import Connection
from daena_mesh.embedded import NatsServer, find_binary
from daena_mesh.mesh import Mesh
from daena_mesh.micro import Service
from daena_mesh.nats_config import read_ports
from daena_mesh.settings import MeshSettings
from daena_mesh.tokens import Claims, Rights, mint
from mesh_cli.doctor.examination import Places, examine
from mesh_cli.doctor.finding import Finding
from tests.support.cluster import NatsCluster
from tests.support.commands import mesh as mesh_command
from tests.support.commands import refused
from tests.support.deadlines import eventually, within
from tests.support.edge import provisioned_mesh, running_edge
from tests.support.nginx import behind_nginx
from tests.support.running_mesh import RunningMesh

NOWHERE = "http://127.0.0.1:9"


async def examined(nats_url: str, *, url: str = NOWHERE, data_dir: Path = Path("none")) -> list[Finding]:
    async with within(30):
        return await examine(Places(url=url, nats_url=nats_url, monitor_url="", data_dir=data_dir))


def by_check(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


async def test_a_mesh_that_is_well(mesh_up: RunningMesh) -> None:
    arguments = ("--url", mesh_up.url, "--nats-url", mesh_up.nats_url, "--data-dir", str(mesh_up.data_dir))
    done = await asyncio.to_thread(mesh_command, "doctor", *arguments, "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 0, done
    assert told["healthy"]
    checks = {finding["check"]: finding["level"] for finding in told["findings"] if finding["check"] != "open files"}
    assert checks == dict.fromkeys(checks, "ok"), told
    asked_for = {"nats", "nats version", "jetstream", "sync_always", "stream RECORDS", "stream KV_AGENTS", "epochs"}
    assert {*asked_for, "clock", "versions", "api", "websocket", "event stream", "access"} <= set(checks)

    plain = await asyncio.to_thread(mesh_command, "doctor", *arguments)
    assert plain.returncode == 0
    assert "\x1b" not in plain.stdout
    assert plain.stdout.splitlines()[-1].endswith(" 0 to mend")


@pytest.mark.promise("P-DOCTOR-1")
async def test_weak_settings_are_named(mesh_up: RunningMesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ORIGINS": "*", "TOKEN_IN_QUERY": "true", "JWKS_URL": "https://127.0.0.1:9/keys"}.items():
        monkeypatch.setenv(f"MESH_{name}", value)
    users = tmp_path / "creds" / "users"
    users.mkdir(parents=True)
    (users / "scout.creds").write_text("…")
    (users / "scout.creds").chmod(0o644)
    found = by_check(await examined(mesh_up.nats_url, url=mesh_up.url, data_dir=tmp_path))
    named = {"origins", "token in query", "token audience", "token issuer", "key files", "public keys"}
    assert {name for name in named if found[name].level != "ok" and found[name].mend} == named
    assert (found["packages"].level, found["nats-server binary"].level) == ("ok", "ok")


@pytest.mark.promise("P-DOCTOR-1")
async def test_a_token_that_is_good_for_long_is_told_of(nats_server: NatsServer) -> None:
    key = "a key of tests, of thirty-two bytes"
    shown = mint(Claims(sub="ada", exp=time.time() + 50 * 86_400, mesh=Rights((">",))), key.encode())
    async with provisioned_mesh(nats_server.url), running_edge(nats_server.url, token_key=key) as edge:
        async with edge.connect("/ws/events", additional_headers={"Authorization": f"Bearer {shown}"}):
            found = by_check(await examined(nats_server.url))
            assert (found["token lifetime"].level, "50 more days" in found["token lifetime"].seen) == ("warning", True)
        await eventually(lambda: not edge.edge.longest_token_s)


async def test_nobody_is_there() -> None:
    arguments = ("--url", NOWHERE, "--nats-url", "nats://127.0.0.1:9")
    done = await asyncio.to_thread(mesh_command, "doctor", *arguments, "--json")
    told = {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert done.returncode == 1
    for check in ("nats", "api", "websocket", "event stream"):
        assert told[check]["level"] == "problem"
        assert told[check]["mend"]
    assert "clock" not in told


async def test_a_url_that_is_none_is_one_sentence() -> None:
    assert "--url" in await asyncio.to_thread(refused, "doctor", "--url", "mesh.example")


async def test_a_server_that_does_not_sync_and_an_empty_one(tmp_path: Path) -> None:
    async with await NatsServer.start(tmp_path, port=0, is_durable=False) as server:
        found = by_check(await examined(server.url, data_dir=tmp_path))
    assert found["sync_always"].level == "problem"
    assert "sync_interval: always" in found["sync_always"].mend
    assert (found["stream RECORDS"].level, found["stream RECORDS"].seen) == ("problem", "is not there")
    assert found["services"].level == "problem"


async def test_monitoring_of_another_server_is_not_taken_for_this_one(nats_server: NatsServer, tmp_path: Path) -> None:
    async with await NatsServer.start(tmp_path / "lax", port=0, is_durable=False) as lax:
        ports = read_ports(tmp_path / "lax" / "run")
        assert ports is not None
        moved = tmp_path / "moved" / "run"
        moved.mkdir(parents=True)
        own_port = int(nats_server.url.rpartition(":")[2])
        document = {
            "nats": [f"nats://127.0.0.1:{own_port}"],
            "monitoring": [f"http://127.0.0.1:{ports.monitoring_port}"],
        }
        (moved / "nats-server_1.ports").write_bytes(msgspec.json.encode(document))
        found = by_check(await examined(nats_server.url, data_dir=tmp_path / "moved"))
        assert lax.url != nats_server.url
    assert found["sync_always"].level == "warning"


async def test_a_stream_with_a_foreign_configuration(nats_server: NatsServer) -> None:
    connection = Connection([nats_server.url], name="stranger")
    connection.start()
    try:
        await connection.wait_ready(5)
        foreign = {"name": "RECORDS", "subjects": ["chat.>"], "storage": "memory"}
        await connection.request("$JS.API.STREAM.CREATE.RECORDS", msgspec.json.encode(foreign), timeout_s=5)
    finally:
        await connection.close()
    findings = await examined(nats_server.url)
    found = by_check(findings)
    assert found["stream RECORDS"].level == "problem"
    assert "storage is 'memory', not 'file'" in found["stream RECORDS"].seen
    assert ("epochs", "problem") in [(finding.check, finding.level) for finding in findings]


async def test_a_stream_that_is_almost_full(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESH_SIGNALS_MAX_BYTES", "1048576")
    settings = MeshSettings(nats_url=nats_server.url, signals_max_bytes=1_048_576)
    async with Mesh(settings, name="filler", provisions=True) as mesh:
        for _ in range(15):
            reply = await mesh.connection.request("system.filler.load", b"x" * 60_000, timeout_s=5)
            assert b'"seq"' in reply.body
    found = by_check(await examined(nats_server.url))
    assert found["stream SIGNALS"].level == "ok"
    assert found["stream SIGNALS fill"].level == "warning"
    assert "stream RECORDS fill" not in found


async def test_a_service_of_another_version(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection([nats_server.url], name="old")
    service = Service(connection, "mesh-edge", instance="old", endpoints=[])
    service.start()
    connection.start()
    try:
        await connection.wait_ready(5)
        monkeypatch.setattr("mesh_cli.doctor.examination.__version__", "99.0.0")
        found = by_check(await examined(nats_server.url))
    finally:
        service.stop()
        await connection.close()
    assert found["versions"].level == "warning"
    assert "mesh-edge old is " in found["versions"].seen


async def test_a_server_without_jetstream(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(find_binary(), "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", tmp_path, "-l", tmp_path / "log")
    )
    try:

        def url() -> str:
            listed = [json.loads(path.read_bytes() or b"{}") for path in tmp_path.glob("*.ports")]
            return listed[0]["nats"][0] if listed and listed[0] else ""

        found = by_check(await examined(await eventually(url)))
    finally:
        process.terminate()
        await process.wait()
    assert found["jetstream"].level == "problem"
    assert "stream RECORDS" not in found


@pytest.mark.timeout(120)
async def test_one_copy_in_a_cluster(tmp_path: Path) -> None:
    async with within(100), NatsCluster(tmp_path) as cluster:
        url = cluster.urls[0]
        async with Mesh(MeshSettings(nats_url=url), name="lone", provisions=True, wait_s=60):
            found = by_check(await examined(url))
    assert found["nats"].seen == "answers as a node of a cluster"
    assert found["stream RECORDS replicas"].level == "warning"


async def test_an_edge_that_asks_for_tokens(tmp_path: Path) -> None:
    async with RunningMesh(tmp_path / "mesh", MESH_TOKEN_KEY="k" * 32) as mesh:
        found = by_check(await examined(mesh.nats_url, url=mesh.url))
    assert (found["access"].level, found["access"].seen) == ("ok", "asks for a token")
    assert found["websocket"].level == "ok"
    assert found["event stream"].level == "ok"


async def test_a_key_that_is_too_short(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESH_TOKEN_KEY", "secret")
    found = by_check(await examined(nats_server.url))
    assert found["token key"].level == "problem"
    assert "secret" not in found["token key"].seen


@asynccontextmanager
async def proxy_that_answers(head: bytes) -> AsyncIterator[str]:
    """A proxy that answers each request with ``head``, and then nothing, until the other side goes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_proxy_that_buffers(nats_server: NatsServer) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    async with proxy_that_answers(head) as url:
        found = by_check(await examined(nats_server.url, url=url))
    assert found["event stream"].level == "problem"
    assert "X-Accel-Buffering" in found["event stream"].mend
    assert found["websocket"].level == "problem"


async def test_a_proxy_that_takes_the_upgrade_away() -> None:
    async with proxy_that_answers(b"HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n") as url:
        found = by_check(await examined("nats://127.0.0.1:9", url=url))
    assert found["websocket"].level == "problem"
    assert "$http_upgrade" in found["websocket"].mend


async def test_a_proxy_that_changes_the_host() -> None:
    async with proxy_that_answers(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n") as url:
        found = by_check(await examined("nats://127.0.0.1:9", url=url))
    assert "$http_host" in found["websocket"].mend


@pytest.mark.timeout(120)
async def test_an_operator_sees_all_of_a_mesh_that_takes_nobody_without_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = tmp_path / "mesh" / ".mesh"
    made = await asyncio.to_thread(mesh_command, "creds", "init", "--data-dir", str(data_dir))
    assert made.returncode == 0, made
    async with RunningMesh(tmp_path / "mesh", "--secure") as mesh:
        stranger = by_check(await examined(mesh.nats_url, url=mesh.url, data_dir=data_dir))
        made = await asyncio.to_thread(mesh_command, "creds", "ops", "ada", "--data-dir", str(data_dir))
        monkeypatch.setenv("MESH_NATS_CREDS", made.stdout.strip())
        findings = await examined(mesh.nats_url, url=mesh.url, data_dir=data_dir)
    assert stranger["nats"].level == "problem"
    assert "MESH_NATS_CREDS" in stranger["nats"].mend
    assert [finding for finding in findings if finding.level != "ok" and finding.check != "open files"] == []
    assert "mesh-api x 1" in by_check(findings)["versions"].seen


@pytest.mark.timeout(120)
async def test_through_nginx_as_it_is_shipped(nginx: Path, nats_server: NatsServer, tmp_path: Path) -> None:
    async with behind_nginx(nginx, nats_server.url, tmp_path) as mesh:
        found = by_check(await examined(nats_server.url, url=mesh.url))
    for check in ("api", "websocket", "event stream", "versions"):
        assert found[check].level == "ok", found[check]
