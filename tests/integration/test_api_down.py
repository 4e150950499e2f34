"""NATS goes away and comes back under the API."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from nats import connect

from daena_mesh.embedded import NatsServer
from daena_mesh.layout import RECORDS
from tests.support.api import SESSIONS, Api, running_api
from tests.support.cutting_proxy import CuttingProxy
from tests.support.deadlines import eventually, within

WRITES: list[tuple[str, str, Any]] = [
    ("POST", "/api/v1/daena/chat", {"message": "x"}),
    ("POST", "/api/v1/departments/HR/chat", {"message": "x", "session_id": "known"}),
    ("POST", "/api/v1/agents/scout/chat", {"message": "x", "session_id": "new"}),
    ("POST", SESSIONS, {"title": "x"}),
    ("PUT", f"{SESSIONS}/known", {"title": "x"}),
    ("DELETE", f"{SESSIONS}/known", None),
    ("POST", f"{SESSIONS}/known/messages", {"sender": "u", "content": "x"}),
    ("POST", "/api/v1/events", {"event_type": "agent.activity", "id": "scout", "payload": {"activity": 1}}),
    ("POST", "/api/v1/events", {"event_type": "council.update", "id": "c1", "payload": {"update": 1}}),
]


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[list[NatsServer]]:
    """Give a list with the server in it, so that a test may replace it."""
    servers = [await NatsServer.start(tmp_path / "nats", port=0)]
    yield servers
    await servers[0].stop()


async def restart(nats: list[NatsServer], tmp_path: Path) -> None:
    nats[0] = await NatsServer.start(tmp_path / "nats", port=nats[0].port)


@pytest.mark.promise("P-DOWN-1")
async def test_without_nats_writes_are_refused_within_a_second_and_leave_nothing(
    nats: list[NatsServer], tmp_path: Path
) -> None:
    async with running_api(nats[0].url) as api, within(30):
        await api.client.post("/api/v1/daena/chat", json={"message": "before", "session_id": "known"})
        before = await api.mesh.log.bounds(RECORDS)
        await nats[0].stop()
        for method, path, body in WRITES:
            at = time.monotonic()
            response = await api.client.request(method, path, json=body)
            assert time.monotonic() - at < 1
            assert response.status_code == 503, (method, path)
            assert int(response.headers["retry-after"]) >= 1
            assert response.json()["type"] == "urn:daena-mesh:problem:unavailable"
        assert (await api.client.get("/readyz")).status_code == 503
        assert (await api.client.get("/healthz")).status_code == 200
        await restart(nats, tmp_path)
        await api.ready()
        assert await api.mesh.log.bounds(RECORDS) == before
        for method, path, body in WRITES:
            if method != "DELETE":
                assert (await api.client.request(method, path, json=body)).status_code == 200
        got = (await api.client.get(f"{SESSIONS}/known")).json()
        assert [message["payload"]["content"] for message in got["messages"]] == ["before", "x", "x"]


@pytest.mark.promise("P-STORE-3")
async def test_sessions_are_there_again_after_a_restart(nats: list[NatsServer], tmp_path: Path) -> None:
    async def state(api: Api) -> list[Any]:
        return [(await api.client.get(path)).json() for path in (SESSIONS, f"{SESSIONS}/one", f"{SESSIONS}/two")]

    async with running_api(nats[0].url) as api:
        for session_id in ("one", "two", "three"):
            for i in range(3):
                body = {"message": f"{session_id} {i}", "session_id": session_id}
                assert (await api.client.post("/api/v1/departments/HR/chat", json=body)).status_code == 200
        await api.client.put(f"{SESSIONS}/one", json={"title": "The first"})
        await api.client.delete(f"{SESSIONS}/three")
        before = await state(api)
        assert len(before[0]["sessions"]) == 2
    await nats[0].stop()
    await restart(nats, tmp_path)
    async with running_api(nats[0].url) as api:
        after = await state(api)
        for kept in (before, after):
            for session in kept[1:]:
                session["cursors"] = session["cursors"].partition(".")[0]  # purges and starts write markers to SIGNALS
        assert after == before
        assert (await api.client.get(f"{SESSIONS}/three")).status_code == 410


async def test_starts_without_nats_and_waits_for_it(tmp_path: Path) -> None:
    async with await NatsServer.start(tmp_path / "nats", port=0) as server:
        url, port = server.url, server.port
    async with running_api(url, ready=False) as api, within(20):
        response = await api.client.get("/readyz")
        assert response.status_code == 503
        assert "not reachable" in response.json()["detail"]
        assert (await api.client.get("/healthz")).status_code == 200
        refused = await api.client.get(SESSIONS)
        assert refused.status_code == 503
        assert "nats://" not in refused.text, "where NATS is, is none of the caller's business"
        async with await NatsServer.start(tmp_path / "nats", port=port):
            await api.ready()
            assert (await api.client.post("/api/v1/daena/chat", json={"message": "x"})).status_code == 200


async def test_what_happened_while_the_api_was_cut_off_is_in_the_list(nats: list[NatsServer]) -> None:
    async with (
        within(30),
        CuttingProxy(nats[0].port).running() as proxy,
        running_api(nats[0].url) as one,
        running_api(proxy.url.replace("http", "nats")) as two,
    ):
        for i in range(10):
            proxy.cut()
            for session_id in ("s", f"s{i}"):
                body = {"message": f"m{i}", "session_id": session_id}
                assert (await one.client.post("/api/v1/daena/chat", json=body)).status_code == 200
            await one.client.delete(f"{SESSIONS}/s{i // 2}")
        await two.ready()
        assert two.mesh.connection.connects > 1
        lists = [(await api.client.get(f"{SESSIONS}?limit=200")).json() for api in (one, two)]
        assert lists[0] == lists[1]
        counts = {session["session_id"]: session["message_count"] for session in lists[0]["sessions"]}
        assert counts == {"s": 10, **{f"s{i}": 1 for i in range(5, 10)}}


@pytest.mark.promise("P-GAP-1")
async def test_a_log_that_began_anew_makes_the_list_anew(nats: list[NatsServer], tmp_path: Path) -> None:
    async with running_api(nats[0].url) as api, within(30):
        await api.client.post("/api/v1/daena/chat", json={"message": "x", "session_id": "of-old"})
        page = (await api.client.get(f"{SESSIONS}?limit=1")).json()
        cursor = page["sessions"][0]["last_message"]["cursor"]
        port = nats[0].port
        await nats[0].stop()
        nats[0] = await NatsServer.start(tmp_path / "another", port=port)

        async def is_empty() -> bool:
            response = await api.client.get(SESSIONS)
            return response.status_code == 200 and response.json()["sessions"] == []

        await eventually(is_empty)
        await api.ready()
        assert (await api.client.get(f"{SESSIONS}/of-old")).status_code == 404
        refused = await api.client.get(f"{SESSIONS}?cursor={cursor}")
        assert (refused.status_code, refused.json()["type"]) == (422, "urn:daena-mesh:problem:invalid-cursor")
        await api.client.post("/api/v1/daena/chat", json={"message": "x", "session_id": "of-new"})
        assert [s["session_id"] for s in (await api.client.get(SESSIONS)).json()["sessions"]] == ["of-new"]


async def test_says_which_stream_is_not_the_mesh_s_own(nats: list[NatsServer]) -> None:
    client = await connect(nats[0].url)
    stream = {"name": "RECORDS", "subjects": ["session.>"], "storage": "memory"}
    await client.request("$JS.API.STREAM.CREATE.RECORDS", json.dumps(stream).encode())
    await client.close()
    async with running_api(nats[0].url, ready=False) as api, within():

        async def is_told() -> bool:
            response = await api.client.get("/readyz")
            return response.status_code == 503 and "stream RECORDS has storage 'memory'" in response.json()["detail"]

        await eventually(is_told)
        response = await api.client.post("/api/v1/daena/chat", json={"message": "x"})
        assert response.status_code == 503
