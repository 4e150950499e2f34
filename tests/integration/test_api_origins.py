"""Which pages may ask the API, and what they are told (Fetch, CORS protocol)."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from daena_mesh.embedded import NatsServer
from mesh_api.settings import ApiSettings
from tests.support.api import SESSIONS, Api, running_api

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = {"message": "x"}
EVIL = "https://evil.example"
APP = "https://app.example"


def is_refused(answer: httpx.Response) -> bool:
    return answer.status_code == 403 and answer.json()["type"] == "urn:daena-mesh:problem:foreign-page"


async def sessions_of(api: Api) -> list[str]:
    return [session["session_id"] for session in (await api.client.get(SESSIONS)).json()["sessions"]]


@pytest.mark.promise("P-ORIGIN-2")
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": f"http://api.localhost, {EVIL}"},
        {"Origin": "http://api.localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
async def test_a_page_of_another_origin_writes_nothing(shared_api: Api, headers: dict[str, str]) -> None:
    before = await sessions_of(shared_api)
    assert is_refused(await shared_api.client.post("/api/v1/daena/chat", json=CHAT, headers=headers))
    # What a form or a beacon can send without asking first.
    simple = {**headers, "Content-Type": "text/plain"}
    assert is_refused(await shared_api.client.post(f"{SESSIONS}/s1/stop", content=b"", headers=simple))
    assert await sessions_of(shared_api) == before


@pytest.mark.promise("P-ORIGIN-2")
@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "evil.example:8000", "127.0.0.1.evil.example", "a b", "localhost@x"],
)
async def test_a_name_that_was_rebound_to_loopback_is_shown_nothing(shared_api: Api, host: str) -> None:
    for headers in ({"Host": host}, {"Host": host, "Origin": f"http://{host}"}):
        assert is_refused(await shared_api.client.get(SESSIONS, headers=headers))
        assert is_refused(await shared_api.client.post("/api/v1/daena/chat", json=CHAT, headers=headers))


@pytest.mark.promise("P-ORIGIN-2")
async def test_so_it_is_where_another_application_has_mounted_the_api(shared_api: Api) -> None:
    outer = FastAPI()
    outer.mount("/mesh", shared_api.app)
    transport = httpx.ASGITransport(outer)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.localhost/mesh") as client:
        assert (await client.post("/api/v1/daena/chat", json=CHAT)).status_code == 200
        assert is_refused(await client.post("/api/v1/daena/chat", json=CHAT, headers={"Origin": EVIL}))


async def test_what_a_host_says_is_in_no_address_that_is_answered(shared_api: Api) -> None:
    said = await shared_api.client.get("/nowhere", headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
    assert said.status_code == 404
    assert "evil.example" not in said.text
    assert "evil.example" not in str(said.headers)


async def test_own_pages_and_tools_come(shared_api: Api) -> None:
    for headers in ({}, {"Origin": "http://api.localhost"}, {"Origin": "http://localhost:5173"}):
        said = await shared_api.client.post("/api/v1/daena/chat", json=CHAT, headers=headers)
        assert said.status_code == 200
        assert "access-control-allow-origin" not in said.headers


async def test_by_default_no_page_of_another_origin_is_given_leave(shared_api: Api) -> None:
    asked = {"Origin": APP, "Access-Control-Request-Method": "POST"}
    answer = await shared_api.client.options("/api/v1/daena/chat", headers=asked)
    assert is_refused(answer)
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.promise("P-ORIGIN-2")
async def test_listed_pages_may_ask_and_read_and_others_may_not(shared_nats: NatsServer) -> None:
    settings = ApiSettings(nats_url=shared_nats.url, origins=f"{APP}, https://two.example")
    async with running_api(shared_nats.url, settings=settings) as api:
        asked = {"Origin": APP, "Access-Control-Request-Method": "POST"}
        leave = await api.client.options("/api/v1/daena/chat", headers=asked)
        assert (leave.status_code, leave.headers["access-control-allow-origin"]) == (204, APP)
        assert "Idempotency-Key" in leave.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in leave.headers
        said = await api.client.post("/api/v1/daena/chat", json=CHAT, headers={"Origin": APP})
        assert (said.status_code, said.headers["access-control-allow-origin"]) == (200, APP)
        wrong = await api.client.post("/api/v1/daena/chat", json={}, headers={"Origin": APP})
        assert (wrong.status_code, wrong.headers["access-control-allow-origin"]) == (422, APP)
        silent = await api.client.get(SESSIONS)
        assert (silent.status_code, silent.headers["vary"]) == (200, "Origin")
        assert "access-control-allow-origin" not in silent.headers
        assert is_refused(await api.client.options("/api/v1/daena/chat", headers={**asked, "Origin": EVIL}))
        assert is_refused(await api.client.get(SESSIONS, headers={"Origin": f"{APP}.evil.example"}))
