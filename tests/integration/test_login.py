"""Who one is, and the cookie of a login."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from http.cookies import Morsel, SimpleCookie

import httpx
import pytest
import pytest_asyncio

from daena_mesh.embedded import NatsServer
from mesh_api.settings import ApiSettings
from tests.support import tokens
from tests.support.api import SESSIONS, Api, running_api
from tests.support.tokens import KEY

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.promise("P-TOKEN-12")]

READ = ("chat.l1.>", "session.l1.>")


def token(*, lives_s: float = 3_600, read: tuple[str, ...] = READ) -> str:
    return tokens.token(*read, write=["chat.l1.message"], lives_s=lives_s)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(shared_nats: NatsServer) -> AsyncIterator[Api]:
    settings = ApiSettings(nats_url=shared_nats.url, token_key=KEY)
    async with running_api(shared_nats.url, settings=settings) as running:
        yield running


def cookie_of(response: httpx.Response) -> Morsel[str]:
    (text,) = response.headers.get_list("set-cookie")
    (morsel,) = SimpleCookie(text).values()
    assert (morsel["path"], morsel["samesite"], morsel["domain"]) == ("/", "Strict", "")
    assert morsel["httponly"] is True
    assert morsel["secure"] is True
    assert response.headers["cache-control"] == "no-store"
    return morsel


async def log_in(api: Api, shown: str) -> httpx.Response:
    return await api.client.post("/api/v1/login", headers={"Authorization": f"Bearer {shown}"})


async def test_a_login_sets_the_token_as_a_cookie_for_as_long_as_it_is_good(api: Api) -> None:
    shown = token()
    response = await log_in(api, shown)
    assert response.status_code == 200
    cookie = cookie_of(response)
    assert (cookie.key, cookie.value) == ("mesh_token", shown)
    assert 0 < int(cookie["max-age"]) <= 3_600
    told = response.json()
    assert (told["user"], told["open"], told["read"], told["write"]) == ("ada", False, list(READ), ["chat.l1.message"])
    assert 0 < told["expires_at"] - time.time() <= 3_600
    headers = {"Cookie": f"{cookie.key}={cookie.value}"}
    assert (await api.client.get("/api/v1/me", headers=headers)).json() == told
    assert (await api.client.get(SESSIONS, headers=headers)).status_code == 200
    assert (await api.client.get("/api/v1/me", headers={"Authorization": f"Bearer {shown}"})).json() == told


async def test_who_shows_no_good_token_in_the_header_gets_no_cookie(api: Api) -> None:
    for wrong in (token(lives_s=-1), token()[:-1], "x", ""):
        response = await log_in(api, wrong)
        assert response.status_code == 401
        assert "set-cookie" not in response.headers
    api.client.cookies.clear()
    response = await api.client.post("/api/v1/login", headers={"Cookie": f"mesh_token={token()}"})
    assert (response.status_code, "set-cookie" in response.headers) == (401, False)
    assert (await api.client.get("/api/v1/me")).status_code == 401


async def test_a_logout_clears_the_cookie_whatever_it_is_worth(api: Api) -> None:
    for headers in ({}, {"Cookie": f"mesh_token={token()}"}, {"Cookie": "mesh_token=expired"}):
        response = await api.client.post("/api/v1/logout", headers=headers)
        assert (response.status_code, response.json()) == (200, {"success": True})
        cookie = cookie_of(response)
        assert (cookie.key, cookie.value, cookie["max-age"]) == ("mesh_token", "", "0")


async def test_a_page_of_another_origin_neither_logs_in_nor_out(api: Api) -> None:
    for path in ("login", "logout"):
        headers = {"Authorization": f"Bearer {token()}", "Origin": "https://evil.example"}
        response = await api.client.post(f"/api/v1/{path}", headers=headers)
        assert (response.status_code, "set-cookie" in response.headers) == (403, False)


async def test_a_token_that_a_browser_would_drop_is_refused(api: Api) -> None:
    many = tuple(f"chat.session-{number:03d}.>" for number in range(150))
    assert 4_096 - len("mesh_token=") < len(token(read=many)) < 8_192
    response = await log_in(api, token(read=many))
    assert response.status_code == 422
    assert response.json()["type"].endswith(":token-too-long")
    assert "set-cookie" not in response.headers


async def test_where_nobody_authenticates_there_is_nothing_to_set(shared_nats: NatsServer) -> None:
    async with running_api(shared_nats.url) as api:
        nobody = {"user": None, "open": True, "read": [">"], "write": [">"], "expires_at": None}
        assert (await api.client.get("/api/v1/me")).json() == nobody
        response = await log_in(api, token())
        assert (response.json(), "set-cookie" in response.headers) == (nobody, False)


async def test_where_no_cookie_counts_none_is_set(shared_nats: NatsServer) -> None:
    settings = ApiSettings(nats_url=shared_nats.url, token_key=KEY, token_cookie="")
    async with running_api(shared_nats.url, settings=settings) as api:
        response = await log_in(api, token())
        assert (response.status_code, "set-cookie" in response.headers) == (409, False)
        assert "set-cookie" not in (await api.client.post("/api/v1/logout")).headers
