"""What each REST call emits, as sockets see it: exactly that, in that order, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import websockets

from tests.support.deadlines import within
from tests.support.running_mesh import RunningMesh

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.promise("P-SESSION-4")]

API = "/api/v1"


async def frames(socket: Any, last: str) -> list[dict[str, Any]]:
    """The events up to the first of type ``last``."""
    found: list[dict[str, Any]] = []
    async with within():
        while not found or found[-1]["event_type"] != last:
            frame = json.loads(await socket.recv())
            if frame["event_type"] != "connection":
                found.append(frame)
    return found


def types(found: list[dict[str, Any]]) -> list[str]:
    return [frame["event_type"] for frame in found]


async def connected(socket: Any) -> Any:
    """Wait for its greeting."""
    async with within():
        while json.loads(await socket.recv())["payload"].get("status") != "connected":
            pass
    return socket


@pytest.mark.parametrize(
    ("path", "scope", "metadata"),
    [
        ("daena", ("executive", None), {}),
        ("departments/HR", ("department", "HR"), {"department_id": "HR"}),
        ("agents/scout", ("agent", "scout"), {"agent_id": "scout"}),
    ],
)
async def test_a_chat_call_shows_its_session_and_its_message(
    shared_mesh: RunningMesh, path: str, scope: tuple[str, str | None], metadata: dict[str, str]
) -> None:
    host = shared_mesh.url.removeprefix("http")
    session = f"chat-{scope[0]}"
    async with (
        websockets.connect(f"ws{host}/ws/chat/{session}") as chat,
        websockets.connect(f"ws{host}/ws/events") as events,
        httpx.AsyncClient(base_url=shared_mesh.url) as client,
    ):
        await connected(chat)
        await connected(events)
        body = {"message": "Who is there?", "session_id": session, "sender": "ada"}
        answer = (await client.post(f"{API}/{path}/chat", json=body)).raise_for_status().json()
        shown = await frames(chat, "chat.message")
        assert types(shown) == ["session.created", "chat.message"]
        created, message = shown
        assert (created["payload"]["scope_type"], created["payload"]["scope_id"]) == scope
        assert message["cursor"] == answer["cursor"]
        assert message["subject"] == f"chat.{session}.message"
        assert message["payload"] == {
            "session_id": session,
            "sender": "ada",
            "content": "Who is there?",
            "message_id": answer["message_id"],
            "metadata": metadata,
        }
        assert types(await frames(events, "chat.message")) == ["session.created", "chat.message"]


async def test_a_sessions_life_shows_as_it_is_led(shared_mesh: RunningMesh) -> None:
    host = shared_mesh.url.removeprefix("http")
    async with (
        websockets.connect(f"ws{host}/ws/events") as events,
        httpx.AsyncClient(base_url=shared_mesh.url) as client,
    ):
        await connected(events)
        sessions = f"{API}/chat-history/sessions"
        made = (await client.post(sessions, json={"title": "Plans", "category": "work"})).raise_for_status().json()
        session = made["session_id"]
        (created,) = await frames(events, "session.created")
        assert created["subject"] == f"session.{session}.created"
        assert (created["payload"]["title"], created["payload"]["category"]) == ("Plans", "work")
        assert created["payload"]["session"] == made["session"]
        async with websockets.connect(f"ws{host}/ws/chat/{session}") as chat:
            await connected(chat)
            (await client.put(f"{sessions}/{session}", json={"title": "Big plans"})).raise_for_status()
            said = {"role": "user", "content": "Let us begin."}
            (await client.post(f"{sessions}/{session}/messages", json=said)).raise_for_status()
            gone = (await client.delete(f"{sessions}/{session}")).raise_for_status().json()
            assert "deleted" in gone["message"]
            shown = await frames(chat, "session.deleted")
        updated, message, deleted = shown
        assert types(shown) == ["session.updated", "chat.message", "session.deleted"]
        assert updated["payload"]["updates"] == {"title": "Big plans"}
        assert updated["payload"]["session"]["title"] == "Big plans"
        assert message["payload"]["content"] == "Let us begin."
        assert deleted["payload"] == {"session_id": session}
        assert types(await frames(events, "session.deleted")) == types(shown)
        assert (await client.get(f"{sessions}/{session}")).status_code == 410
