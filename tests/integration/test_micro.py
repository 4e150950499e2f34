"""Services as operators see them, with the real ``nats`` command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import nats
import pytest

import daena_mesh
from daena_mesh.connection import Connection
from daena_mesh.embedded import NatsServer
from daena_mesh.mesh import Mesh
from daena_mesh.micro import Endpoint, Figures, Service
from tests.support.deadlines import within
from tests.support.meshes import running
from tests.support.running_mesh import RunningMesh
from tests.support.ws_client import Client

TIMEOUT = "10s"  # for how long the command waits for the first answer; after that it listens for a moment


async def micro(nats_cli: Path, url: str, *arguments: str) -> str:
    """Run `nats micro` and give what it prints."""
    process = await asyncio.create_subprocess_exec(
        *(str(nats_cli), "-s", url, "--timeout", TIMEOUT, "micro", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.DEVNULL,
    )
    async with within(30):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def told(nats_cli: Path, url: str, *arguments: str) -> Any:
    """Run `nats micro` and give what it prints as JSON."""
    return json.loads(await micro(nats_cli, url, *arguments, "--json"))


@pytest.mark.nats_cli
@pytest.mark.promise("P-MICRO-1")
async def test_agents_are_listed_described_and_counted(nats_server: NatsServer, nats_cli: Path) -> None:
    async with running(nats_server.url) as mesh, mesh.agent("scout", description="Looks around") as agent:
        agent.serves.update({"agent/scout", "department/hr"})
        async with running(nats_server.url) as another, another.agent("clerk"):
            listed = await told(nats_cli, nats_server.url, "ls")
            assert sorted(service["name"] for service in listed) == ["clerk", "scout"]
        (listed,) = await told(nats_cli, nats_server.url, "ls", "scout")
        assert (listed["id"], listed["version"]) == (agent.instance, daena_mesh.__version__)
        found = await told(nats_cli, nats_server.url, "info", "scout", agent.instance)
        info = found["info"]
        assert info["description"] == "Looks around"
        assert info["metadata"]["serves"] == "agent/scout department/hr"
        assert {"instance", "pid", "serves"} == info["metadata"].keys()
        assert [(e["name"], e["subject"]) for e in info["endpoints"]] == [
            ("ask", "ask.agent.scout.*"),
            ("cancel", "svc.scout.cancel"),
        ]
        agent.ask_endpoint.figures.note(0.5)
        agent.ask_endpoint.figures.note(0.1, "no such page")
        (stats,) = await told(nats_cli, nats_server.url, "stats", "scout")
        ask = stats["endpoints"][0]
        assert (ask["num_requests"], ask["num_errors"], ask["last_error"]) == (2, 1, "no such page")
        assert (ask["processing_time"], ask["average_processing_time"]) == (600_000_000, 300_000_000)
        answer = await micro(nats_cli, nats_server.url, "request", "scout", "cancel", "--raw", '{"task_id":"t1"}')
        assert json.loads(answer)["ok"] is False
        (stats,) = await told(nats_cli, nats_server.url, "stats", "scout")
        assert stats["endpoints"][1]["num_requests"] == 1
        assert "300ms" in await micro(nats_cli, nats_server.url, "stats", "scout")
        assert "scout" in await micro(nats_cli, nats_server.url, "ls")


@pytest.mark.nats_cli
@pytest.mark.promise("P-MICRO-1")
async def test_the_api_and_the_edge_are_services_with_live_figures(mesh_up: RunningMesh, nats_cli: Path) -> None:
    async def figures(name: str) -> dict[str, Any]:
        (stats,) = await told(nats_cli, mesh_up.nats_url, "stats", name)
        (endpoint,) = stats["endpoints"]
        return dict(endpoint)

    listed = {service["name"] for service in await told(nats_cli, mesh_up.nats_url, "ls")}
    assert {"mesh-api", "mesh-edge"} <= listed
    before = (await figures("mesh-api"))["num_requests"]
    assert (await figures("mesh-edge"))["num_requests"] == 0
    async with Client(f"{mesh_up.url.replace('http', 'ws')}/ws/chat/s1") as client, running(mesh_up.nats_url) as mesh:
        await mesh.chat("s1").send("hello", sender="user")
        await client.next("chat.message")
        edge = await figures("mesh-edge")
        assert edge["num_requests"] >= 1
        assert edge["data"]["sockets"] == 1
    async with httpx.AsyncClient(base_url=mesh_up.url) as browser:
        assert (await browser.get("/readyz")).status_code == 200
    api = await figures("mesh-api")
    assert api["num_requests"] > before
    assert api["average_processing_time"] > 0


@pytest.fixture
async def mesh(nats_server: NatsServer) -> Any:
    async with running(nats_server.url) as mesh:
        yield mesh


def service(connection: Connection, *endpoints: Endpoint) -> Service:
    return Service(connection, "thing", instance="i1", endpoints=endpoints)


async def test_it_is_asked_by_all_by_its_name_or_by_its_instance(nats_server: NatsServer, mesh: Mesh) -> None:
    thing = service(mesh.connection)
    thing.start()
    thing.start()
    client = await nats.connect(nats_server.url)
    try:
        for verb in ("PING", "INFO", "STATS"):
            for scope in ("", ".thing", ".thing.i1"):
                answer = json.loads((await client.request(f"$SRV.{verb}{scope}", b"", timeout=5)).data)
                assert (answer["name"], answer["id"]) == ("thing", "i1")
                assert answer["type"] == f"io.nats.micro.v1.{verb.lower()}_response"
        thing.stop()
        await mesh.connection.flush()
        with pytest.raises(nats.errors.NoRespondersError):
            await client.request("$SRV.PING.thing", b"", timeout=5)
    finally:
        await client.close()


async def test_an_endpoint_that_fails_says_so_and_goes_on(
    nats_server: NatsServer, mesh: Mesh, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(body: bytes) -> bytes:
        return b"%d" % (100 // int(body))

    def data() -> Mapping[str, int]:
        return {"more": 1}

    endpoint = Endpoint("divide", "svc.thing.divide", handle=handle, data=data)
    thing = service(mesh.connection, endpoint)
    thing.start()
    client = await nats.connect(nats_server.url)
    try:
        failed = await client.request("svc.thing.divide", b"0", timeout=5)
        assert failed.headers == {"Nats-Service-Error": "ZeroDivisionError", "Nats-Service-Error-Code": "500"}
        assert (await client.request("svc.thing.divide", b"5", timeout=5)).data == b"20"
    finally:
        await client.close()
    stats = endpoint.stats()
    assert (stats["num_requests"], stats["num_errors"], stats["data"]) == (2, 1, {"more": 1})
    assert stats["last_error"].startswith("ZeroDivisionError")
    assert [record.levelname for record in caplog.records if record.name == "daena_mesh.micro"] == ["ERROR"]
    thing.stop()


@pytest.mark.promise("P-MICRO-2")
async def test_an_answer_goes_to_inboxes_alone(nats_server: NatsServer, mesh: Mesh) -> None:
    async def handle(body: bytes) -> bytes:
        return b'{"content":"forged"}'

    thing = service(mesh.connection, Endpoint("ask", "svc.thing.ask", handle=handle))
    thing.start()
    client = await nats.connect(nats_server.url)
    try:
        heard: list[Any] = []

        async def hear(message: Any) -> None:
            heard.append(message.subject)

        await client.subscribe("chat.>", cb=hear)
        await client.publish("$SRV.PING", b"", reply="chat.s1.message")
        await client.publish("svc.thing.ask", b"", reply="chat.s1.message")
        await client.request("svc.thing.ask", b"", timeout=5)  # whatever came before it is handled
        await client.request("$SRV.PING", b"", timeout=5)
        await client.flush()
        assert heard == []
    finally:
        await client.close()
    thing.stop()


def test_figures_bound_what_they_keep() -> None:
    figures = Figures()
    figures.note(1.5, "x" * 10_000)
    assert (figures.requests, figures.errors, len(figures.last_error), figures.processing_s) == (1, 1, 200, 1.5)
