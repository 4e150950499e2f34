"""What operators see of an edge: `/metrics` and `GET /edge/connections`, of one process and of several."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from tests.support.deadlines import eventually
from tests.support.edge import RunningEdge, running_edge
from tests.support.edge_command import edge_command
from tests.support.flood import flood
from tests.support.running_mesh import RunningMesh
from tests.support.tokens import KEY, bearer, token
from tests.support.ws_client import Client, RawClient

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def edge(shared_nats: NatsServer, mesh: Mesh) -> AsyncIterator[RunningEdge]:
    async with running_edge(shared_nats.url, edge_id="one", linger_s=0) as edge:
        yield edge


def samples(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found = {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}
    assert len(found) == len(lines), "a sample comes twice"
    return found


async def metrics(port: int) -> dict[str, float]:
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{port}/metrics", timeout=20)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return samples(answer.text)


async def connections(port: int, query: str = "", **headers: str) -> tuple[int, Any]:
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{port}/edge/connections{query}", headers=headers, timeout=20)
    return answer.status_code, answer.json()


# -- /metrics ---------------------------------------------------------------------------------------------------------


async def test_metrics_tell_what_happens(edge: RunningEdge, mesh: Mesh) -> None:
    before = await metrics(edge.port)
    assert (before["mesh_edge_ready"], before["mesh_edge_nats_connected"]) == (1, 1)
    assert before["mesh_edge_topics"] == 0
    async with edge.connect("/ws/chat/m1") as first, edge.connect("/ws/chat/m1"), edge.connect("/ws/events"):
        told = await metrics(edge.port)
        assert told['mesh_edge_sockets{route="/ws/chat"}'] == 2
        assert told['mesh_edge_sockets{route="/ws/events"}'] == 1
        assert (told["mesh_edge_topics"], told['mesh_edge_readers{state="live"}']) == (2, 3)
        await flood(mesh, "chat.m1.message", range(10))
        await first.events(10)
        await eventually(lambda: deliveries(edge, 30))
        async with edge.connect("/ws/chat/m1", since="Rnever-1") as reset:
            await reset.event()
        assert (await metrics(edge.port))['mesh_edge_gaps_total{reason="reset"}'] == 1
        await edge.refusal("/ws/chat/m*1")
        await edge.refusal("/ws/events", additional_headers={"Origin": "https://evil.example"})
        await mesh.connection.request("chat.m1.message", b"no event", timeout_s=5)
        await eventually(lambda: edge.edge.poison.count == 1)
        told = await metrics(edge.port)
        assert told['mesh_edge_handshakes_refused_total{status="400",reason="request"}'] == 1
        assert told['mesh_edge_handshakes_refused_total{status="403",reason="origin"}'] == 1
        assert told["mesh_edge_poison_total"] == 1
        assert (told["mesh_edge_replays"], told["mesh_edge_replays_waiting"]) == (0, 0)
    await eventually(lambda: list(edge.edge.topics()) == [])
    assert await deliveries(edge, 30), "what topics delivered that are gone is still counted"


async def deliveries(edge: RunningEdge, least: int) -> bool:
    return (await metrics(edge.port))["mesh_edge_deliveries_total"] >= least


async def test_what_is_sent_and_how_connections_end_is_counted(edge: RunningEdge, mesh: Mesh) -> None:
    before = await metrics(edge.port)

    async def more(name: str, label: str) -> float:
        sample = f"mesh_edge_{name}_total{{{label}}}"
        return (await metrics(edge.port)).get(sample, 0) - before.get(sample, 0)

    said = '{"type":"send","id":"c1","subject":"chat.m3.message","payload":{"content":"twice"}}'
    typing = '{"type":"send","subject":"chat.m3.typing","payload":{}}'
    async with edge.connect("/ws/chat/m3") as client, edge.connect("/ws/council") as lost:
        for message in (said, said, typing, said.replace("chat", "session")):
            await client.ws.send(message)
        await client.next("error")
        lost.ws.transport.abort()
    async with edge.connect("/ws/council") as client:
        await client.ws.send(b"binary")
        assert (await client.closing())[0] == 1003
    for outcome in ("stored", "duplicate", "passed_on", "not_allowed"):
        assert await more("sends", f'outcome="{outcome}"') == 1, outcome
    for code in ("client", "lost", "1003"):
        assert await more("closes", f'code="{code}"') == 1, code


RECONNECT = 'mesh_edge_heals_total{cause="reconnect"}'


async def test_heals_are_counted_and_the_beginning_is_none(edge: RunningEdge, mesh: Mesh) -> None:
    async with edge.connect("/ws/chat/m2") as client:
        assert (await metrics(edge.port))[RECONNECT] == 0
        transport = edge.edge.mesh.connection.client._transport
        assert transport is not None
        transport.close()  # type: ignore[no-untyped-call]
        await eventually(lambda: healed(edge))
        await mesh.chat("m2").send("after", sender="user")
        await client.event()


async def healed(edge: RunningEdge) -> bool:
    return (await metrics(edge.port))[RECONNECT] == 1


async def test_a_mesh_has_the_metrics_of_the_api_and_of_the_edge_once(shared_mesh: RunningMesh) -> None:
    async with Client(f"ws{shared_mesh.url.removeprefix('http')}/ws/events"):
        told = await metrics(shared_mesh.port)
        assert told["mesh_api_nats_connected"] == told["mesh_edge_nats_connected"] == 1
        assert told['mesh_edge_sockets{route="/ws/events"}'] == 1
        status, page = await connections(shared_mesh.port)
        assert (status, page["count"]) == (200, 1)


# -- GET /edge/connections --------------------------------------------------------------------------------------------


async def test_connections_tell_who_is_there(edge: RunningEdge) -> None:
    async with (
        edge.connect("/ws/chat/k1?who=ada", user_agent_header="Test/1.0") as client,
        edge.connect("/ws/events") as other,
    ):
        status, page = await connections(edge.port, "?connection_id=chat_k1")
        assert (status, page["count"], page["next"]) == (200, 1, None)
        (found,) = page["connections"]
        assert found["socket_id"] == client.hello["payload"]["socket_id"]
        host, port = client.ws.local_address[:2]
        assert found["address"] == f"{host}:{port}"
        assert found["connected_since"] <= found["last_seen"]
        assert {name: found[name] for name in ("edge", "route", "connection_ids", "user", "user_agent")} == {
            "edge": "one",
            "route": "/ws/chat",
            "connection_ids": ["chat_k1"],
            "user": "ada",
            "user_agent": "Test/1.0",
        }
        assert (found["is_behind"], found["buffered_bytes"], found["metadata"]) == (False, 0, {})
        _, page = await connections(edge.port)
        assert {one["socket_id"] for one in page["connections"]} == {
            watcher.hello["payload"]["socket_id"] for watcher in (client, other)
        }


async def test_a_slow_reader_is_seen_to_be_behind(shared_nats: NatsServer, mesh: Mesh) -> None:
    async with running_edge(shared_nats.url, send_buffer_bytes=16_384, behind_bytes=4_096) as edge:
        slow = await RawClient.connect(edge.port, "/ws/agent/k2")
        try:
            await flood(mesh, "agent.k2.activity", range(200), pad_bytes=2_000)

            async def is_behind() -> bool:
                _, page = await connections(edge.port)
                (found,) = page["connections"]
                return bool(found["is_behind"] and found["buffered_bytes"] > 0)

            await eventually(is_behind)
            assert (await metrics(edge.port))['mesh_edge_readers{state="from_log"}'] == 1
        finally:
            slow.close()


async def test_pages_go_through_all_of_them(edge: RunningEdge) -> None:
    clients = [await edge.connect("/ws/council").__aenter__() for _ in range(7)]
    seen: list[str] = []
    after: str | None = ""
    for size in (3, 3, 1):
        _, page = await connections(edge.port, f"?limit=3&connection_id=council&after={after}")
        assert (page["count"], len(page["connections"])) == (7, size)
        seen += [one["socket_id"] for one in page["connections"]]
        after = page["next"]
    assert after is None
    assert seen == sorted(client.hello["payload"]["socket_id"] for client in clients)
    for client in clients:
        await client.ws.close()


async def test_a_question_that_makes_no_sense_is_refused(edge: RunningEdge) -> None:
    for query in ("limit=0", "limit=1001", "limit=x", "limit=", "connection_id=chat_*", "connection_id=x"):
        status, problem = await connections(edge.port, f"?{query}")
        assert (status, problem["status"], problem["title"]) == (400, 400, "The connections are not shown")


@pytest.mark.promise("P-OPERATORS-1")
async def test_while_nobody_authenticates_only_this_machine_is_told(edge: RunningEdge) -> None:
    for headers in ({"Host": "rebound.example"}, {"X-Forwarded-For": "192.0.2.1"}, {"Origin": "https://evil.example"}):
        assert (await connections(edge.port, **headers))[0] == 403


@pytest.mark.promise("P-OPERATORS-1")
async def test_with_tokens_only_who_may_read_everything_is_told(shared_nats: NatsServer, mesh: Mesh) -> None:
    async with running_edge(shared_nats.url, token_key=KEY) as edge:
        assert (await connections(edge.port))[0] == 401
        assert (await connections(edge.port, **bearer(token("chat.>"))))[0] == 403
        assert (await connections(edge.port, **bearer(token(">"))))[0] == 200


# -- several processes ------------------------------------------------------------------------------------------------


@pytest.mark.promise("P-WORKERS-1")
async def test_workers_answer_for_each_other(shared_nats: NatsServer, mesh: Mesh, tmp_path: Path) -> None:
    async with edge_command(shared_nats.url, "--workers", "2", folder=tmp_path, edge_id="pair") as edge:
        clients = [await edge.connect("/ws/council").__aenter__() for _ in range(24)]
        told = await metrics(edge.port)
        assert (told["mesh_edge_workers"], told["mesh_edge_workers_silent"]) == (2, 0)
        spread = [told[f'mesh_edge_sockets{{worker="{number}",route="/ws/council"}}'] for number in (1, 2)]
        assert sum(spread) == 24
        assert min(spread) > 0
        _, page = await connections(edge.port, "?limit=20")
        assert (page["count"], len(page["connections"])) == (24, 20)
        _, rest = await connections(edge.port, f"?limit=20&after={page['next']}")
        shown = [*page["connections"], *rest["connections"]]
        assert [one["socket_id"] for one in shown] == sorted(client.hello["payload"]["socket_id"] for client in clients)
        assert {one["edge"] for one in shown} == {"pair-1", "pair-2"}
        for client in clients:
            await client.ws.close()
