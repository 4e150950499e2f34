"""What runs, by the word of those who run: a whole mesh, and a cluster."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from daena_mesh.embedded import NatsServer
from mesh_api.settings import ApiSettings
from tests.support.api import running_api
from tests.support.cluster import NatsCluster, kill
from tests.support.deadlines import eventually, within
from tests.support.running_mesh import RunningMesh
from tests.support.ws_client import Client

PATH = "/api/v1/mesh"


async def look(client: httpx.AsyncClient) -> Any:
    response = await client.get(PATH)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.promise("P-LOG-2")
async def test_the_overview_counts_sockets_deliveries_and_latency_and_finds_streams_and_their_server(
    mesh_up: RunningMesh,
) -> None:
    async with httpx.AsyncClient(base_url=mesh_up.url) as client, within(60):

        async def whole() -> Any:  # who does not answer soon is left out of a look
            found = await look(client)
            return found if len(found["edges"]) == len(found["apis"]) == 1 and not found["missing"] else None

        first = await eventually(whole)
        async with Client(f"{mesh_up.url.replace('http', 'ws')}/ws/events") as socket:

            async def act(activity: int) -> None:
                event = {"event_type": "agent.activity", "id": "scout", "payload": {"activity": activity}}
                await client.post("/api/v1/events", json=event)
                await socket.event()

            for i in range(20):
                await act(i)

            async def counted() -> Any:
                await act(20)  # rates are of the time since the look before
                found = await whole()
                edge = found["edges"][0] if found else {"sockets": 0}
                return found if edge["sockets"] == 1 and edge["deliveries_per_s"] and edge["latency"] else None

            found = await eventually(counted)
        (edge,), (api,) = found["edges"], found["apis"]
        assert edge["deliveries"] >= 20
        assert edge["topics"] == 1
        assert 0 <= edge["latency"]["p50_ms"] <= edge["latency"]["p99_ms"]
        assert api["requests"] > 20
        assert found["over_s"] >= 1
        assert found["missing"] == []
        streams = {stream["name"]: stream for stream in found["streams"]}
        assert {"RECORDS", "SIGNALS", "ASKS", "KV_AGENTS", "KV_PRESENCE"} == streams.keys()
        assert streams["SIGNALS"]["messages"] >= 20
        assert streams["SIGNALS"]["max_bytes"] > 0
        (node,) = found["nodes"]
        assert node["version"].startswith("2.")
        assert sorted(node["leads"]) == sorted(streams)
        assert first["edges"][0]["edge_id"] == edge["edge_id"]


async def test_many_who_look_at_once_cost_one_look(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api, within(30):
        asked = 0

        def count(*_: bytes) -> None:
            nonlocal asked
            asked += 1

        api.mesh.connection.subscribe("$SRV.STATS.mesh-edge", count)
        await api.mesh.connection.flush()
        looks = await asyncio.gather(*(look(api.client) for _ in range(20)))
        assert all(found["apis"] and not found["edges"] for found in looks)
        assert asked == 1


async def test_members_that_speak_nonsense_are_left_out(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api, within(30):
        connection = api.mesh.connection
        bodies = (
            b"{",
            b"\xff",
            b'{"name":"mesh-edge"}',
            b'{"name":"other","id":"x"}',
            b'{"name":"mesh-edge","id":"e","endpoints":[{"name":"d","num_requests":"many"}]}',
            b'{"name":"mesh-edge","id":"<img src=x>","endpoints":[{"name":"d","data":{"sockets":[1]}}]}',
        )

        def answer(_subject: bytes, reply: bytes, _headers: bytes, _body: bytes) -> None:
            for body in bodies:
                connection.publish(reply.decode(), body)

        connection.subscribe("$SRV.STATS.mesh-edge", answer)
        await connection.flush()
        (edge,) = (await look(api.client))["edges"]
        assert (edge["instance"], edge["sockets"]) == ("<img src=x>", 0)


@pytest.mark.promise("P-LOG-2")
async def test_a_cluster_shows_its_nodes_and_the_one_that_is_gone(tmp_path: Path) -> None:
    async with NatsCluster(tmp_path) as cluster:
        settings = ApiSettings(nats_url=cluster.urls[0], replicas=3)
        async with running_api(cluster.urls[0], settings=settings, ready=False) as api, within(120):

            async def whole() -> Any:
                response = await api.client.get(PATH)
                found = response.json()
                is_whole = response.status_code == 200 and not found["missing"] and len(found["nodes"]) == 3
                return found if is_whole and all(node["current"] for node in found["nodes"]) else None

            found = await eventually(whole, within_s=60)
            assert found["cluster"]
            names = [node["name"] for node in found["nodes"]]
            assert sum(len(node["leads"]) for node in found["nodes"]) == len(found["streams"])
            await kill(cluster.nodes[2])

            async def is_one_gone() -> bool:
                response = await api.client.get(PATH)
                nodes = response.json().get("nodes", []) if response.status_code == 200 else []
                # Under a new leader, a node that is there is not up to date for a moment either.
                return [node["name"] for node in nodes if not node["current"]] == [sorted(names)[2]]

            await eventually(is_one_gone, within_s=60)
