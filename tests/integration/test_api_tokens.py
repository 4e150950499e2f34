"""The API asks for tokens: who asks, what they may read and write, and as whom."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi.routing import APIRoute

from daena_mesh.embedded import NatsServer
from mesh_api.guarded_route import GuardedRoute
from mesh_api.settings import ApiSettings
from tests.support.api import SESSIONS, Api, running_api
from tests.support.hand_agent import HandAgent
from tests.support.tokens import KEY, token

pytestmark = pytest.mark.asyncio(loop_scope="module")


ALL = token(">", write=[">"], sub="root")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(shared_nats: NatsServer) -> AsyncIterator[Api]:
    settings = ApiSettings(nats_url=shared_nats.url, token_key=KEY)
    async with running_api(shared_nats.url, settings=settings) as running:
        yield running


async def ask(api: Api, shown: str, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    given = {"Authorization": f"Bearer {shown}", **headers}
    return await api.client.request(method, path, json=body, headers=given)


async def done(api: Api, shown: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
    response = await ask(api, shown, method, path, body, **headers)
    assert response.status_code == 200, response.text
    return response.json()


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["type"].removeprefix("urn:daena-mesh:problem:")


def calls(api: Api) -> list[tuple[str, str]]:
    """Give every method and path under ``/api`` and ``/ai``."""
    routes = [route for route in api.app.router.routes if isinstance(route, APIRoute)]
    ours = [route for route in routes if route.path.startswith(("/api/", "/ai/"))]
    guarded = [route for route in ours if isinstance(route, GuardedRoute)]
    assert [route.path for route in ours if route not in guarded] == ["/api/v1/logout"]
    return [
        (method, route.path.replace("{", "x").replace("}", "")) for route in guarded for method in route.methods or ()
    ]


@pytest.mark.promise("P-TOKEN-4")
async def test_no_call_does_anything_without_a_token(api: Api) -> None:
    assert len(calls(api)) > 15
    for method, path in calls(api):
        response = await api.client.request(method, path)
        assert problem(response) == (401, "no-token"), path
        assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.promise("P-TOKEN-4")
@pytest.mark.parametrize(
    "wrong",
    [
        token(">", write=[">"], lives_s=-1),
        token(">", write=[">"], key="another key, of thirty-two bytes!!!"),
        ALL[:-1],
        "x",
        "\x7f",
    ],
)
async def test_a_wrong_token_is_refused_and_not_shown(api: Api, wrong: str) -> None:
    response = await ask(api, wrong, "GET", SESSIONS)
    assert problem(response) == (401, "invalid-token")
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert KEY not in response.text


@pytest.mark.promise("P-TOKEN-4")
async def test_a_token_that_allows_nothing_gets_nothing(api: Api) -> None:
    bodies = {
        "/events": {"event_type": "agent.activity", "id": "a", "payload": {}},
        "/sessions": {"title": "t"},
        "/ai/chat": {"id": "s", "message": {"id": "m", "role": "user", "parts": [{"type": "text", "text": "m"}]}},
        "/chat": {"message": "m"},
    }
    for method, path in calls(api):
        body = next((body for end, body in bodies.items() if path.endswith(end)), None) if method == "POST" else None
        response = await ask(api, token(), method, path, body)
        if path in {"/api/v1/me", "/api/v1/login"}:
            assert (response.json()["read"], response.json()["write"]) == ([], [])
        elif response.status_code == 200:
            assert list(response.json().values()) in ([[]], [[], None]), path
        else:
            assert problem(response) == (403, "forbidden"), path
            assert "insufficient_scope" in response.headers["www-authenticate"]


async def test_what_operators_and_browsers_load_is_open(api: Api) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
        assert (await api.client.get(path)).status_code == 200


@pytest.mark.promise("P-TOKEN-4")
async def test_a_token_expires_though_it_was_known(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = token(">", lives_s=600)
    await done(api, mine, "GET", SESSIONS)
    later = time.time() + 601
    monkeypatch.setattr("mesh_api.callers.time.time", lambda: later)
    assert problem(await ask(api, mine, "GET", SESSIONS)) == (401, "invalid-token")


@pytest.mark.promise("P-TOKEN-5")
async def test_who_speaks_is_whom_the_token_names(api: Api) -> None:
    await done(api, ALL, "POST", "/api/v1/daena/chat", {"message": "hi", "session_id": "t-who", "sender": "bob"})
    await done(api, ALL, "POST", f"{SESSIONS}/t-who/messages", {"content": "more", "role": "assistant"})
    await done(api, ALL, "POST", f"{SESSIONS}/t-who/messages", {"content": "nobody said who"})
    event = {"event_type": "chat.message", "id": "t-who", "payload": {"sender": "bob", "content": "again"}}
    await done(api, ALL, "POST", "/api/v1/events", event)
    session = await done(api, ALL, "GET", f"{SESSIONS}/t-who")
    assert [message["payload"]["sender"] for message in session["messages"]] == ["root"] * 4
    assert session["session"]["created_by"] == "root"
    made = await done(api, ALL, "POST", SESSIONS, {"title": "t"})
    assert made["session"]["created_by"] == "root"


@pytest.mark.promise("P-TOKEN-5")
async def test_one_chat_is_all_that_its_token_reaches(api: Api) -> None:
    for session_id in ("t-mine", "t-other"):
        await done(api, ALL, "POST", "/api/v1/daena/chat", {"message": "hi", "session_id": session_id})
    mine = token("chat.t-mine.>", "session.t-mine.>", write=["chat.t-mine.message"])
    listed = await done(api, mine, "GET", SESSIONS)
    assert [session["session_id"] for session in listed["sessions"]] == ["t-mine"]
    assert len((await done(api, mine, "GET", f"{SESSIONS}/t-mine"))["messages"]) == 1
    await done(api, mine, "POST", "/api/v1/daena/chat", {"message": "more", "session_id": "t-mine"})
    await done(api, mine, "POST", f"{SESSIONS}/t-mine/messages", {"content": "and more"})
    await done(api, mine, "GET", "/api/v1/presence/chat_t-mine")
    refused: list[tuple[str, str, Any]] = [
        ("GET", f"{SESSIONS}/t-other", None),
        ("GET", f"{SESSIONS}/t-none", None),
        ("POST", f"{SESSIONS}/t-other/messages", {"content": "x"}),
        ("POST", "/api/v1/daena/chat", {"message": "x", "session_id": "t-other"}),
        ("POST", "/api/v1/daena/chat", {"message": "x"}),
        ("POST", "/api/v1/agents/scout/chat", {"message": "x", "session_id": "t-other"}),
        ("POST", SESSIONS, {"title": "x"}),
        ("PUT", f"{SESSIONS}/t-mine", {"title": "x"}),
        ("DELETE", f"{SESSIONS}/t-mine", None),
        ("POST", f"{SESSIONS}/t-mine/stop", None),
        ("POST", "/api/v1/events", {"event_type": "chat.delta", "id": "t-mine", "payload": {}}),
        ("POST", "/api/v1/events", {"event_type": "agent.activity", "id": "scout", "payload": {}}),
        ("GET", "/api/v1/presence/chat_t-other", None),
        ("GET", "/api/v1/presence/events", None),
    ]
    for method, path, body in refused:
        assert problem(await ask(api, mine, method, path, body)) == (403, "forbidden"), (method, path)
    other = await done(api, ALL, "GET", f"{SESSIONS}/t-other")
    assert len(other["messages"]) == 1
    changer = token(write=["session.t-mine.>"])
    assert (await done(api, changer, "PUT", f"{SESSIONS}/t-mine", {"title": "new"}))["session"]["title"] == "new"
    silent = token(write=["chat.t-mine.message"])
    waits = {"message": "x", "session_id": "t-mine"}
    assert problem(await ask(api, silent, "POST", "/api/v1/daena/chat", waits, Prefer="wait=1"))[0] == 403
    await done(api, changer, "DELETE", f"{SESSIONS}/t-mine")


@pytest.mark.promise("P-TOKEN-5")
async def test_lists_of_agents_and_tasks_show_what_may_be_read(api: Api) -> None:
    for name in ("scout", "spy"):
        agent = HandAgent(api.mesh, name, instance="i1")
        await agent.beat()
        await agent.update(f"{name}-1")
        await agent.act("searching")
        await api.mesh.publish(f"brain.{name}.status", {"status": "online"})
    mine = token("agent.scout.>", "task.scout-1.>", "brain.scout.>", "agent.*.activity")
    agents = (await done(api, mine, "GET", "/api/v1/agents"))["agents"]
    assert [(agent["agent_id"], agent["tasks"]) for agent in agents] == [("scout", ["scout-1"])]
    blind = token("agent.scout.>")
    assert (await done(api, blind, "GET", "/api/v1/agents/scout"))["tasks"] == []
    tasks = (await done(api, mine, "GET", "/api/v1/tasks"))["tasks"]
    assert [task["task_id"] for task in tasks] == ["scout-1"]
    await done(api, mine, "GET", "/api/v1/tasks/scout-1")
    await done(api, mine, "GET", "/api/v1/agents/spy/activity")
    for path in ("agents/spy", "tasks/spy-1"):
        assert problem(await ask(api, mine, "GET", f"/api/v1/{path}")) == (403, "forbidden")
    assert problem(await ask(api, mine, "POST", "/api/v1/tasks/scout-1/cancel")) == (403, "forbidden")
    every = await done(api, ALL, "GET", "/api/v1/agents")
    assert {"scout", "spy"} <= {agent["agent_id"] for agent in every["agents"]}


@pytest.mark.promise("P-TOKEN-5")
async def test_retries_are_those_of_a_user(api: Api) -> None:
    body = {"message": "hi", "session_id": "t-retry"}
    first, again = [
        await done(api, ALL, "POST", "/api/v1/daena/chat", body, **{"Idempotency-Key": "k1"}) for _ in range(2)
    ]
    assert first == again
    bob = token(">", write=[">"], sub="bob")
    other = await done(api, bob, "POST", "/api/v1/daena/chat", body, **{"Idempotency-Key": "k1"})
    assert other["message_id"] != first["message_id"]


@pytest.mark.promise("P-TOKEN-4")
async def test_a_cookie_counts_for_pages_of_this_origin_alone(api: Api) -> None:
    cookie = {"Cookie": f"theme=dark; mesh_token={ALL}"}
    own, foreign = "http://api.localhost", "https://evil.example"
    for origin in (None, own, foreign):
        headers = {**cookie, **({} if origin is None else {"Origin": origin})}
        read = await api.client.get(SESSIONS, headers=headers)
        assert read.status_code == (403 if origin == foreign else 200)
        made = await api.client.post(SESSIONS, json={"title": "t"}, headers=headers)
        assert made.status_code == (403 if origin == foreign else 200)
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200)):
        headers = {**cookie, "Sec-Fetch-Site": site}
        assert (await api.client.post(SESSIONS, json={"title": "t"}, headers=headers)).status_code == status
    both = {**cookie, "Authorization": "Bearer x"}
    assert problem(await api.client.get(SESSIONS, headers=both)) == (401, "invalid-token")
