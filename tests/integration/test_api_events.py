"""`POST /events`, and what native publishers put on the subjects of sessions and chats."""

from __future__ import annotations

from typing import Any

import pytest

from daena_mesh.connection import header_block
from daena_mesh.embedded import NatsServer
from daena_mesh.events import Event
from daena_mesh.layout import RECORDS
from daena_mesh.mesh import Mesh
from daena_mesh.sessions import SessionStore
from daena_mesh.settings import MeshSettings
from mesh_api.settings import ApiSettings
from tests.support.api import SESSIONS, Api, running_api
from tests.support.deadlines import eventually, within

EVENTS = "/api/v1/events"

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def native(api: Api, subject: str, body: bytes) -> None:
    """Publish as any NATS client may."""
    reply = await api.mesh.connection.request(subject, body, timeout_s=2, headers=header_block({"X": "native"}))
    assert b'"seq"' in reply.body, reply.body


async def row(api: Api, session_id: str) -> dict[str, Any] | None:
    """Give a session as the list has it."""
    sessions = (await api.client.get(f"{SESSIONS}?limit=200")).json()["sessions"]
    return next((session for session in sessions if session["session_id"] == session_id), None)


@pytest.mark.promise("P-STORE-1")
@pytest.mark.parametrize(
    ("event_type", "ident", "payload"),
    [
        ("agent.activity", "scout", {"activity": {"state": "searching"}}),
        ("agent.status", "scout", {"status": "busy"}),
        ("task.update", "t1", {"status": "running", "progress": 40}),
        ("brain.status", "main", {"status": "ok", "tokens": 5}),
        ("council.update", "c1", {"update": "voted"}),
        ("chat.typing", "s1", {"sender": "ada"}),
        ("system.notice", "all", {"text": "hello"}),
    ],
)
async def test_an_event_is_emitted(shared_api: Api, event_type: str, ident: str, payload: dict[str, Any]) -> None:
    domain, verb = event_type.split(".")
    api = shared_api
    async with api.mesh.subscribe(f"{domain}.{ident}.{verb}") as feed, within():
        response = await api.client.post(EVENTS, json={"event_type": event_type, "id": ident, "payload": payload})
        assert response.status_code == 200
        event = await anext(feed)
        assert isinstance(event, Event)
        assert response.json() == {"success": True, "id": event.id, "cursor": event.cursor}
        assert {name: event.payload[name] for name in payload} == payload


async def test_a_chat_message_gets_its_ids(shared_api: Api) -> None:
    api = shared_api
    body = {"event_type": "chat.message", "id": "by-event", "payload": {"sender": "ada", "content": "Hi there"}}
    headers = {"Idempotency-Key": "event"}
    answers = [await api.client.post(EVENTS, json=body, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    [event] = await api.mesh.chat("by-event").history()
    assert event.payload["session_id"] == "by-event"
    assert event.payload["message_id"] == event.id == answers[0].json()["id"]
    body["payload"] = {"sender": "ada", "content": "Something else"}
    assert (await api.client.post(EVENTS, json=body, headers=headers)).status_code == 422


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        ({"event_type": "session.created", "id": "s", "payload": {}}, "event-not-allowed", "chat-history/sessions"),
        ({"event_type": "session.deleted", "id": "s", "payload": {}}, "event-not-allowed", "chat-history/sessions"),
        ({"event_type": "presence.join", "id": "s", "payload": {}}, "event-not-allowed", "edges"),
        ({"event_type": "project.note", "id": "p", "payload": {}}, "not-covered", "MESH_SUBJECTS"),
        ({"event_type": "live.chat", "id": "p", "payload": {}}, "not-covered", "MESH_SUBJECTS"),
        ({"event_type": "ask.agent", "id": "p", "payload": {}}, "not-covered", "MESH_SUBJECTS"),
        ({"event_type": "nonsense", "id": "p", "payload": {}}, "invalid-subject", "<domain>.<verb>"),
        ({"event_type": "chat.message.x", "id": "p", "payload": {}}, "invalid-subject", "<domain>.<verb>"),
        ({"event_type": "agent.activity", "id": "a.b", "payload": {}}, "invalid-id", "safe_id()"),
        ({"event_type": "agent.status", "id": "a", "payload": {"status": "asleep"}}, "invalid-event", "status"),
        ({"event_type": "chat.message", "id": "a", "payload": {"sender": "u"}}, "invalid-event", "content"),
        (
            {"event_type": "agent.activity", "id": "a", "payload": {"agent_id": "b", "activity": 1}},
            *("invalid-event", "agent_id"),
        ),
        ({"event_type": "agent.activity", "id": "a", "payload": []}, "wrong-body", "object"),
        ({"event_type": "agent.activity", "payload": {}}, "wrong-body", "id"),
    ],
)
async def test_what_is_not_taken(shared_api: Api, body: dict[str, Any], kind: str, says: str) -> None:
    api = shared_api
    response = await api.client.post(EVENTS, json=body)
    assert response.status_code == 422
    assert response.json()["type"] == f"urn:daena-mesh:problem:{kind}"
    assert says in response.json()["detail"]


@pytest.mark.promise("P-COVER-1")
async def test_a_configured_domain_is_taken(nats_server: NatsServer) -> None:
    settings = ApiSettings(nats_url=nats_server.url, subjects="project.>=RECORDS")
    async with running_api(nats_server.url, settings=settings) as api:
        response = await api.client.post(EVENTS, json={"event_type": "project.note", "id": "p1", "payload": {"x": 1}})
        assert response.status_code == 200
        assert response.json()["cursor"].startswith("R")


@pytest.mark.promise("P-SESSION-3")
async def test_a_native_message_makes_its_session_once(shared_nats: NatsServer) -> None:
    async with running_api(shared_nats.url) as one, running_api(shared_nats.url) as two:
        await native(one, "chat.native.message", b'{"sender":"ada","content":"What is   in HR?",')  # poison
        first = b'{"sender":"ada","content":"What is   in HR?","metadata":{"department_id":"HR"}}'
        await native(one, "chat.native.message", first)
        await native(one, "chat.native.message.scout", b'{"sender":"scout","content":"People."}')
        for api in (one, two):
            await eventually(lambda api=api: api.context.projector.projection.has("native"))  # type: ignore[misc]
        session = await row(two, "native")
        assert session is not None
        assert (session["title"], session["created_by"]) == ("What is in HR?", "ada")
        assert (session["scope_type"], session["scope_id"]) == ("department", "HR")
        assert (session["message_count"], session["last_message"]["content"]) == (2, "People.")
        created = await one.mesh.log.batch(RECORDS, "session.native.created", 0)
        assert len(created.messages) == 1
        assert one.context.upkeep.created + two.context.upkeep.created <= 1  # a third API follows the same streams


@pytest.mark.promise("P-SESSION-3")
async def test_messages_from_before_the_api_started_have_a_session(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api:
        await api.mesh.chat("known").send("x", sender="u")
        await eventually(lambda: api.context.projector.projection.has("known"))
    async with Mesh.connect(nats_server.url) as mesh:
        for i in range(3):
            await mesh.chat("early").send(f"message {i}", sender="u")
        await mesh.chat("known").send("y", sender="u")
    async with running_api(nats_server.url) as api:
        await eventually(lambda: api.context.projector.projection.has("early"))
        session = await row(api, "early")
        assert session is not None
        assert (session["title"], session["message_count"]) == ("message 0", 3)
        session = await row(api, "known")
        assert session is not None
        assert (session["message_count"], session["last_message"]["content"]) == (2, "y")


async def test_what_is_no_state_is_ignored_and_counted(shared_api: Api) -> None:
    api = shared_api
    created = await api.client.post(SESSIONS, json={"title": "Mine"})
    session_id = created.json()["session_id"]
    path = f"{SESSIONS}/{session_id}"
    malformed = api.context.projector.malformed
    await native(api, f"session.{session_id}.updated", b"oops")
    await native(api, f"session.{session_id}.updated", b'{"title":"stolen"}')
    await native(api, f"session.{session_id}.deleted", b"oops")
    await native(api, f"session.{session_id}.renamed", b'{"title":"?"}')
    await eventually(lambda: api.context.projector.malformed == malformed + 3)
    assert f"mesh_api_malformed_total {malformed + 3}\n" in (await api.client.get("/metrics")).text
    got = await api.client.get(path)
    assert got.json()["session"]["title"] == "Mine"
    assert got.headers["etag"] == created.headers["etag"]
    session = await row(api, session_id)
    assert session is not None
    assert session["title"] == "Mine"
    changed = await api.client.put(path, json={"title": "New"}, headers={"If-Match": created.headers["etag"]})
    assert (changed.status_code, changed.json()["session"]["title"]) == (200, "New")


async def test_a_session_can_begin_where_only_nonsense_was(shared_api: Api) -> None:
    api = shared_api
    await native(api, "session.nonsense.created", b"oops")
    assert (await api.client.get(f"{SESSIONS}/nonsense")).status_code == 404
    await api.client.post("/api/v1/daena/chat", json={"message": "Hi", "session_id": "nonsense"})
    assert (await api.client.get(f"{SESSIONS}/nonsense")).json()["session"]["title"] == "Hi"


async def test_other_services_sessions_are_seen(shared_nats: NatsServer) -> None:
    async with running_api(shared_nats.url) as api, Mesh(MeshSettings(nats_url=shared_nats.url), name="o") as other:
        store = SessionStore(other)
        await store.create("of-another", title="Theirs")
        await eventually(lambda: api.context.projector.projection.has("of-another"))
        await store.delete("of-another")
        await eventually(lambda: api.context.projector.projection.is_deleted("of-another"))
        assert (await api.client.get(f"{SESSIONS}/of-another")).status_code == 410
