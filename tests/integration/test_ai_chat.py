"""`/ai/chat` without a browser: who may, what is refused, and what ends an answer that is being read."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from mesh_api import ui_streams
from mesh_api.settings import ApiSettings
from tests.integration.test_api_tokens import problem
from tests.support.api import SESSIONS, Api, running_api
from tests.support.deadlines import eventually, within
from tests.support.tokens import KEY, bearer, token

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(shared_nats: NatsServer) -> AsyncIterator[Api]:
    async with running_api(shared_nats.url, settings=ApiSettings(nats_url=shared_nats.url, token_key=KEY)) as api:
        yield api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def agent(shared_nats: NatsServer) -> AsyncIterator[str]:
    """Give the name of an agent that says back what it is told, but nothing to a `?`."""
    async with Mesh.connect(shared_nats.url) as mesh, mesh.agent("echo") as agent:

        @agent.on_ask
        async def answer(ask: Any, out: Any) -> None:
            if ask.content == "?":
                await asyncio.get_running_loop().create_future()
            await out.write(ask.content)

        yield "echo"


def body(text: str, **more: Any) -> dict[str, Any]:
    message = {"id": uuid.uuid4().hex, "role": "user", "parts": [{"type": "text", "text": text}]}
    return {"id": f"s-{uuid.uuid4().hex[:8]}", "messages": [message], "agent_id": "echo", **more}


async def ask(api: Api, shown: str, said: dict[str, Any]) -> httpx.Response:
    async with within(60):
        return await api.client.post("/ai/chat", json=said, headers={"Authorization": f"Bearer {shown}"})


def chunks(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    *frames, done, end = response.text.split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    return [msgspec.json.decode(frame.removeprefix("data: ")) for frame in frames if frame.startswith("data: ")]


def rights(session: str, **of: Any) -> str:
    return token(f"chat.{session}.>", write=[f"chat.{session}.message", f"session.{session}.created"], **of)


@pytest.mark.promise("P-AI-2")
async def test_it_asks_for_the_rights_of_the_chat_calls(api: Api, agent: str) -> None:
    said = body("Hello!")
    session = said["id"]
    message = f"chat.{session}.message"
    created = f"session.{session}.created"
    for shown in (token(), token(f"chat.{session}.>"), rights("other")):
        assert problem(await ask(api, shown, said)) == (403, "forbidden")
    made = chunks(await ask(api, rights(session, sub="bob"), {**said, "sender": "eve"}))
    assert [chunk.get("delta") for chunk in made if chunk["type"] == "text-delta"] == ["Hello!"]
    history = await api.mesh.chat(session).history(5)
    assert [event.payload["sender"] for event in history] == ["bob", agent]
    stream = f"/ai/chat/{session}/stream"
    for shown, status in ((rights("other"), 403), (rights(session), 204), (token(write=[message, created]), 403)):
        response = await api.client.get(stream, headers={"Authorization": f"Bearer {shown}"})
        assert response.status_code == status
    stopping = await api.client.post(f"/ai/chat/{session}/stop", headers={"Authorization": f"Bearer {rights(session)}"})
    assert problem(stopping) == (403, "forbidden")


@pytest.mark.promise("P-AI-2")
async def test_a_retry_stores_and_asks_once(api: Api, agent: str) -> None:
    said = body("Once.")
    first, second = await asyncio.gather(*(ask(api, rights(said["id"]), said) for _ in range(2)))
    assert chunks(first)[-1] == chunks(second)[-1]
    assert chunks(await ask(api, rights(said["id"]), said))[-1] == chunks(first)[-1]
    assert [event.payload["sender"] for event in await api.mesh.chat(said["id"]).history(5)] == ["ada", agent]
    said["messages"][0]["parts"][0]["text"] = "Twice."
    assert problem(await ask(api, rights(said["id"]), said)) == (422, "key-reused")
    # The AI SDK says of which message it is another wording.
    edited = chunks(await ask(api, rights(said["id"]), {**said, "messageId": said["messages"][0]["id"]}))
    assert [chunk.get("delta") for chunk in edited if chunk["type"] == "text-delta"] == ["Twice."]


@pytest.mark.promise("P-AI-2")
async def test_what_is_read_ends_with_the_token(api: Api, agent: str) -> None:
    del agent
    said = body("?")
    made = chunks(await ask(api, rights(said["id"], lives_s=2.5), said))
    assert made[-1] == {"type": "error", "errorText": "The token has expired."}


async def test_what_is_read_ends_with_the_session(api: Api, agent: str) -> None:
    del agent
    said = body("?")
    root = bearer(token(">", write=[">"]))
    reading = asyncio.create_task(ask(api, rights(said["id"]), said))

    async def is_there() -> bool:
        return (await api.client.get(f"{SESSIONS}/{said['id']}", headers=root)).status_code == 200

    await eventually(is_there)
    assert (await api.client.delete(f"{SESSIONS}/{said['id']}", headers=root)).status_code == 200
    assert chunks(await reading)[-1] == {"type": "error", "errorText": "The session was deleted."}


@pytest.mark.promise("P-AI-2")
async def test_what_is_read_ends_with_the_right_to_read(api: Api, agent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del agent
    monkeypatch.setattr(ui_streams, "_QUIET_S", 0.1)
    monkeypatch.setattr(ui_streams, "_CHECK_S", 0)
    root = bearer(token(">", write=[">"], sub="root"))
    owner, member = (bearer(token(write=["session.*.created"], sub=sub)) for sub in ("o", "m"))
    session = (await api.client.post(SESSIONS, json={"title": "t"}, headers=owner)).json()["session_id"]
    path = f"{SESSIONS}/{session}/members"
    assert (await api.client.post(path, json={"add": ["m"]}, headers=owner)).status_code == 200
    said = {**body("?"), "id": session}
    async with within(60):
        reading = asyncio.create_task(api.client.post("/ai/chat", json=said, headers=member))

        async def is_asked() -> bool:
            return len((await api.client.get(f"{SESSIONS}/{session}", headers=root)).json()["messages"]) > 0

        await eventually(is_asked)
        assert not reading.done()
        assert (await api.client.post(path, json={"remove": ["m"]}, headers=owner)).status_code == 200
        last = chunks(await reading)[-1]
    assert last["type"] == "error"
    assert last["errorText"].startswith("The token does not allow to read")


async def test_there_is_room_for_so_many(api: Api, agent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del agent
    said = body("Hello!")
    for most in ("_MOST_EACH", "_MOST_AT_ONCE"):
        monkeypatch.setattr(ui_streams, most, 0)
        refused = await ask(api, rights(said["id"]), said)
        assert problem(refused) == (503, "busy")
        assert refused.headers["retry-after"] == "5"
        monkeypatch.undo()
    assert await api.mesh.chat(said["id"]).history(5) == []
    assert chunks(await ask(api, rights(said["id"]), said))[-1]["type"] == "finish"
    assert not api.context.ui_streams._open, "what has ended takes no room"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"messages": []}, "There is no message of the user."),
        ({"messages": [{"id": "m", "role": "assistant", "parts": []}]}, "There is no message of the user."),
        ({"messages": [{"id": "m", "role": "user", "parts": []}]}, "The last message of the user has no text."),
        ({"messages": [{"id": "m", "role": "user", "parts": [{"type": "file"}]}]}, "Files are not taken here."),
        ({"messages": [{"id": "", "role": "user", "parts": []}]}, "needs an id"),
        ({"id": "a.b"}, "id"),
        ({"agent_id": None, "department_id": "a b"}, "department_id"),
        ({"trigger": "resume"}, "trigger"),
    ],
)
async def test_what_makes_no_sense_is_refused(api: Api, change: dict[str, Any], why: str) -> None:
    response = await ask(api, token(">", write=[">"]), {**body("x"), **change})
    assert response.status_code == 422
    assert why in response.json()["detail"]
