"""What comes in from outside: hostile ids at every route, wrong methods and bodies; the API behind a real server."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from daena_mesh.embedded import NatsServer
from tests.support.api import SESSIONS, Api, running_api, served_api
from tests.support.deadlines import eventually, within

HOSTILE = ["*", ">", "a.b", "x" * 5_000, "a\0b", "a\r\nb", "ä", "a b", "..", "$JS", "%2A"]
CHAT = {"message": "x"}
MESSAGE = {"sender": "u", "content": "x"}

ROUTES: list[tuple[str, str, Any]] = [
    ("POST", "/api/v1/departments/{}/chat", CHAT),
    ("POST", "/api/v1/agents/{}/chat", CHAT),
    ("GET", SESSIONS + "/{}", None),
    ("PUT", SESSIONS + "/{}", {"title": "x"}),
    ("DELETE", SESSIONS + "/{}", None),
    ("POST", SESSIONS + "/{}/messages", MESSAGE),
]
BODIES: list[tuple[str, dict[str, Any], str]] = [
    ("/api/v1/daena/chat", CHAT, "session_id"),
    ("/api/v1/departments/HR/chat", CHAT, "session_id"),
    ("/api/v1/agents/scout/chat", CHAT, "session_id"),
    ("/api/v1/daena/chat", CHAT, "agent_id"),
    ("/api/v1/events", {"event_type": "agent.activity", "payload": {"activity": 1}}, "id"),
]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.promise("P-ID-1")
async def test_hostile_ids_are_refused_at_every_route_and_the_connection_is_unharmed(shared_nats: NatsServer) -> None:
    async with running_api(shared_nats.url) as api:
        client = api.mesh.connection.client
        for ident in HOSTILE:
            for method, template, body in ROUTES:
                path = template.format(quote(ident, safe=""))
                response = await api.client.request(method, path, json=body)
                if ident == "..":  # httpx itself takes it for a step up
                    assert response.status_code in {404, 405, 422}
                    continue
                assert response.status_code == 422, (method, path)
                assert response.headers["content-type"] == "application/problem+json"
                problem = response.json()
                assert problem["type"] == "urn:daena-mesh:problem:invalid-id"
                assert "must be 1 to 64 characters" in problem["detail"]
                assert len(response.text) < 1_000
            for path, body, name in BODIES:
                response = await api.client.post(path, json={**body, name: ident})
                assert response.status_code == 422, (path, name)
                assert "safe_id()" in response.json()["detail"]
        for method, template, body in ROUTES:
            assert (await api.client.request(method, template.format(""), json=body)).status_code == 404
        for path, body, name in BODIES:
            assert (await api.client.post(path, json={**body, name: ""})).status_code == 422
        assert (await api.client.post("/api/v1/daena/chat", json=CHAT)).status_code == 200
        assert api.mesh.connection.client is client
        assert api.mesh.connection.connects == 1


@pytest.mark.promise("P-ERROR-1")
@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/nowhere", 404, None),
        ("GET", SESSIONS + "/", 404, None),
        ("PATCH", SESSIONS + "/s1", 405, "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("GET", "/api/v1/daena/chat", 405, "OPTIONS, POST"),
        ("BREW", "/readyz", 405, "GET, HEAD, OPTIONS"),
    ],
)
async def test_wrong_addresses_and_methods(
    shared_api: Api, method: str, path: str, status: int, allow: str | None
) -> None:
    api = shared_api
    response = await api.client.request(method, path)
    assert (response.status_code, response.headers.get("allow")) == (status, allow)
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert set(problem) == {"type", "title", "status", "detail", "instance"}
    assert (problem["status"], problem["instance"]) == (status, path)


@pytest.mark.promise("P-ERROR-1")
async def test_a_failure_shows_no_stack_trace(shared_nats: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_api(shared_nats.url) as api:

        async def fails(_session_id: str) -> None:
            raise RuntimeError("a secret")

        monkeypatch.setattr(api.context.sessions, "read", fails)
        response = await api.client.get(f"{SESSIONS}/s1")
        assert response.status_code == 500
        assert response.json()["detail"] == "The log says more."
        assert "secret" not in response.text


async def test_options_and_head(shared_api: Api) -> None:
    api = shared_api
    options = await api.client.options(f"{SESSIONS}/s1")
    assert (options.status_code, options.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, PUT")
    for path in ("/healthz", "/readyz", "/docs", SESSIONS):
        head, get = await api.client.head(path), await api.client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(get.content))


async def test_documents(shared_api: Api) -> None:
    api = shared_api
    openapi = (await api.client.get("/openapi.json")).json()
    operations = [op for path in openapi["paths"].values() for op in path.values()]
    assert all("422" not in operation["responses"] for operation in operations)
    schemas = openapi["components"]["schemas"]
    assert {"ChatBody", "ChatAnswer", "ProblemDetails", "Session"} <= set(schemas)
    refs = re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(openapi))
    assert set(refs) <= set(schemas)
    page = await api.client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "<script" not in page.text
    for path in openapi["paths"]:
        assert path in page.text
    asyncapi = (await api.client.get("/asyncapi.json")).json()
    assert asyncapi["servers"]["edge"]["host"] == "api.localhost"
    for channel in asyncapi["channels"].values():
        assert channel["address"] in page.text


async def test_metrics_count_what_was_answered(shared_nats: NatsServer) -> None:
    async with running_api(shared_nats.url) as api:
        await api.client.get("/nowhere")
        metrics = await api.client.get("/metrics")
        assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
        lines = metrics.text.splitlines()
        assert 'mesh_api_requests_total{method="GET",status="404"} 1' in lines
        assert "mesh_api_nats_connected 1" in lines
        assert "mesh_api_sessions_complete 1" in lines


async def raw(url: str, *chunks: bytes) -> bytes:
    """Send bytes to a server and give what comes back, up to the end or a while of silence."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
        return await reader.readuntil(b"}")
    finally:
        writer.close()


async def test_behind_a_real_server(shared_nats: NatsServer) -> None:
    async with served_api(shared_nats.url) as api, within(20):
        url = str(api.client.base_url)
        said = await api.client.post("/api/v1/daena/chat", json=CHAT)
        assert said.status_code == 200
        assert said.headers["x-content-type-options"] == "nosniff"
        assert (await api.client.head("/readyz")).status_code == 200

        # A body that says it is large is refused before it is sent.
        start = b"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        told = await raw(url, start + b"Content-Length: 10000000000\r\n\r\n{")
        assert told.startswith(b"HTTP/1.1 413")
        # One that does not say is refused when it is.
        chunk = b"10000\r\n" + 0x10000 * b" " + b"\r\n"
        told = await raw(url, start + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 3)
        assert told.startswith(b"HTTP/1.1 413")
        assert json.loads(told[told.index(b"{") :])["type"] == "urn:daena-mesh:problem:too-large"

        # A client that goes away in the middle of its request harms nobody, and leaves nothing.
        address = urlsplit(url)
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(start + b'Content-Length: 100\r\n\r\n{"event_type": "agent.activity"')
        await writer.drain()
        writer.close()
        await writer.wait_closed()

        async def is_well() -> bool:
            return (await api.client.get("/readyz")).status_code == 200

        await eventually(is_well)
        assert 'status="500"' not in (await api.client.get("/metrics")).text
