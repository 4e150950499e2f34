"""The three chat calls on a real nats-server: what they store, emit and ask; repeated, broken off, and refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from daena_mesh.asks import Ask
from daena_mesh.embedded import NatsServer
from daena_mesh.events import Event
from daena_mesh.ids import derived_id
from daena_mesh.layout import RECORDS
from daena_mesh.provisioning import ASKS
from tests.support.api import SESSIONS, Api, running_api
from tests.support.deadlines import eventually, within

CALLER = "192.0.2.1"

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def asked(api: Api, subject: str, session_id: str) -> list[dict[str, Any]]:
    """Give the questions of a session that lie in the queue under ``subject``."""
    found, seq = [], 0
    while (message := await api.mesh.log._get(ASKS, {"seq": seq + 1, "next_by_subj": subject})) is not None:
        seq = message.seq
        body = json.loads(message.body)
        if body["payload"]["session_id"] == session_id:
            found.append(body)
    return found


async def messages(api: Api, session_id: str) -> list[Event]:
    return await api.mesh.chat(session_id).history()


@pytest.mark.promise("P-SESSION-4")
@pytest.mark.parametrize(
    ("path", "ask_subject", "scope", "metadata"),
    [
        ("daena/chat", "ask.daena.vp.api", ("executive", None), {}),
        ("departments/HR/chat", "ask.department.HR.api", ("department", "HR"), {"department_id": "HR"}),
        ("agents/scout/chat", "ask.agent.scout.api", ("agent", "scout"), {"agent_id": "scout"}),
    ],
)
async def test_a_chat_call_emits_a_session_and_a_message_and_asks(
    shared_api: Api, path: str, ask_subject: str, scope: tuple[str, str | None], metadata: dict[str, str]
) -> None:
    api = shared_api
    async with api.mesh.subscribe("session.>", "chat.>") as feed, within():
        body = {"message": "Who is there?", "metadata": {"from": "test"}, "context": {"page": 1}}
        response = await api.client.post(f"/api/v1/{path}", json=body)
        assert response.status_code == 200
        answer = response.json()
        assert answer == {
            "success": True,
            "session_id": answer["session_id"],
            "message_id": answer["message_id"],
            "cursor": answer["cursor"],
            "response": None,
        }
        # Sessions of other tests may still be tidied up meanwhile.
        ours = (event async for event in feed if isinstance(event, Event) and answer["session_id"] in event.subject)
        created, message = [await anext(ours), await anext(ours)]
        assert created.subject == f"session.{answer['session_id']}.created"
        session = created.payload["session"]
        assert (session["scope_type"], session["scope_id"], session["title"]) == (*scope, "Who is there?")
        assert (message.subject, message.cursor) == (f"chat.{answer['session_id']}.message", answer["cursor"])
        assert message.source == "api"
        assert message.payload == {
            "session_id": answer["session_id"],
            "sender": "user",
            "content": "Who is there?",
            "message_id": answer["message_id"],
            "metadata": {"from": "test", **metadata},
        }
        [ask] = await asked(api, ask_subject, answer["session_id"])
        assert ask["payload"]["message_id"] == answer["message_id"]
        assert ask["payload"]["content"] == "Who is there?"
        assert ask["payload"]["context"] == {"page": 1}
        # Nothing else: the next event is the one that is emitted now.
        await api.mesh.chat(f"after-{answer['session_id']}").send("end", sender="test")
        end = await anext(ours)
        assert end.subject == f"chat.after-{answer['session_id']}.message"


async def test_a_session_that_exists_is_used_as_it_is(shared_api: Api) -> None:
    api = shared_api
    created = await api.client.post(SESSIONS, json={"title": "Mine"})
    session_id = created.json()["session_id"]
    answer = await api.client.post("/api/v1/agents/scout/chat", json={"message": "x", "session_id": session_id})
    assert answer.json()["session_id"] == session_id
    found = await api.client.get(f"{SESSIONS}/{session_id}")
    assert found.json()["session"]["title"] == "Mine"
    assert found.headers["etag"] == created.headers["etag"]


async def test_an_unknown_session_is_created_under_its_id(shared_api: Api) -> None:
    api = shared_api
    body = {"message": "x", "session_id": "wanted", "sender": "ada", "agent_id": "scout"}
    assert (await api.client.post("/api/v1/departments/IT/chat", json=body)).json()["session_id"] == "wanted"
    session = (await api.client.get(f"{SESSIONS}/wanted")).json()
    assert (session["session"]["scope_id"], session["session"]["created_by"]) == ("IT", "ada")
    assert session["messages"][0]["payload"]["metadata"] == {"department_id": "IT", "agent_id": "scout"}


@pytest.mark.promise("P-RETRY-1")
@pytest.mark.parametrize("session_id", [None, "given-session"])
async def test_a_repeated_call_happens_once_whatever_process_it_reaches(
    shared_nats: NatsServer, session_id: str | None
) -> None:
    headers = {"Idempotency-Key": f"once-{session_id}"}
    body = {"message": "Once!", **({"session_id": session_id} if session_id else {})}
    async with running_api(shared_nats.url) as one, running_api(shared_nats.url) as two:
        calls = [api.client.post("/api/v1/daena/chat", json=body, headers=headers) for api in (one, two, one, two)]
        answers = [response.json() for response in await asyncio.gather(*calls)]
        assert answers == [answers[0]] * 4
        assert answers[0]["success"]
        assert len(await messages(one, answers[0]["session_id"])) == 1
        assert len(await asked(one, "ask.daena.vp.api", answers[0]["session_id"])) == 1


@pytest.mark.promise("P-RETRY-1")
async def test_keys_are_of_one_caller_and_one_path(shared_nats: NatsServer) -> None:
    headers = {"Idempotency-Key": "k"}
    body = {"message": "x", "session_id": "shared-key"}
    async with running_api(shared_nats.url) as one, running_api(shared_nats.url, caller="192.0.2.2") as two:
        await one.client.post("/api/v1/daena/chat", json=body, headers=headers)
        await two.client.post("/api/v1/daena/chat", json=body, headers=headers)
        await one.client.post("/api/v1/agents/scout/chat", json=body, headers=headers)
        assert len(await messages(one, "shared-key")) == 3


async def test_a_key_for_another_message_is_refused(shared_api: Api) -> None:
    headers = {"Idempotency-Key": "k2"}
    api = shared_api
    body = {"message": "first", "session_id": "another-body"}
    assert (await api.client.post("/api/v1/daena/chat", json=body, headers=headers)).status_code == 200
    body["message"] = "second"
    refused = await api.client.post("/api/v1/daena/chat", json=body, headers=headers)
    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:daena-mesh:problem:key-reused"
    assert len(await messages(api, "another-body")) == 1


@pytest.mark.promise("P-RETRY-1")
@pytest.mark.parametrize("came_to", ["session", "message", "ask"])
async def test_a_retry_completes_what_a_crash_left_half_done(shared_api: Api, came_to: str) -> None:
    key, path = f"crashed-{came_to}", "/api/v1/departments/HR/chat"
    session_id = derived_id("idempotency", CALLER, path, key, "session")
    message_id = derived_id("idempotency", CALLER, path, key, "message")
    event_id = derived_id("idempotency", CALLER, path, key, "session of a chat")
    api = shared_api
    async with api.mesh.subscribe(f"session.{session_id}.>") as feed, within():
        # The writes of a process that died, by hand.
        await api.context.sessions.create(
            session_id, title="Half", scope_type="department", scope_id="HR", created_by="user", event_id=event_id
        )
        if came_to in {"message", "ask"}:
            chat = api.mesh.chat(session_id)
            await chat.send("Half", sender="user", metadata={"department_id": "HR"}, message_id=message_id)
        if came_to == "ask":
            ask = Ask(session_id=session_id, message_id=message_id, sender="user", content="Half")
            await api.context.asks.put(api.context.asks.draft("ask.department.HR.api", ask))
        for _ in range(2):
            response = await api.client.post(path, json={"message": "Half"}, headers={"Idempotency-Key": key})
            assert response.status_code == 200
            assert (response.json()["session_id"], response.json()["message_id"]) == (session_id, message_id)
        assert [event.payload["content"] for event in await messages(api, session_id)] == ["Half"]
        assert len(await asked(api, "ask.department.HR.api", session_id)) == 1
        created = await anext(feed)
        assert isinstance(created, Event)
        assert await api.mesh.log.head(RECORDS, [f"session.{session_id}.>"]) == int(created.cursor.rpartition("-")[2])


async def test_what_is_refused_leaves_nothing(shared_api: Api) -> None:
    api = shared_api
    before = await api.mesh.log.bounds(RECORDS)
    for body in (
        {"message": "x" * 70_000},
        {"message": "x", "agent_id": "a.b"},
        {"message": "x", "sender": 5},
        {"message": ""},
    ):
        response = await api.client.post("/api/v1/daena/chat", json=body)
        assert response.status_code == 422, body
    refused = await api.client.post("/api/v1/agents/scout/chat", json={"message": "x", "agent_id": "other"})
    assert refused.status_code == 422
    assert "is not the agent of this address" in refused.json()["detail"]
    assert await api.mesh.log.bounds(RECORDS) == before


@pytest.mark.promise("P-SESSION-2")
async def test_nothing_is_said_in_a_deleted_session(shared_nats: NatsServer) -> None:
    async with running_api(shared_nats.url) as api:
        await api.client.post("/api/v1/daena/chat", json={"message": "x", "session_id": "gone"})
        await api.client.delete(f"{SESSIONS}/gone")
        again = await api.client.post("/api/v1/daena/chat", json={"message": "x", "session_id": "gone"})
        assert again.status_code == 410
        # The same without the list, as while it is being filled.
        api.context.projector.is_complete = False
        again = await api.client.post("/api/v1/daena/chat", json={"message": "x", "session_id": "gone"})
        assert again.status_code == 410


@pytest.mark.promise("P-SESSION-3")
async def test_many_first_messages_make_one_session(shared_nats: NatsServer) -> None:
    async with running_api(shared_nats.url) as one, running_api(shared_nats.url) as two:
        calls = [
            api.client.post("/api/v1/daena/chat", json={"message": f"m{i}", "session_id": "rushed"})
            for i, api in enumerate([one, two] * 10)
        ]
        assert {response.status_code for response in await asyncio.gather(*calls)} == {200}
        assert len(await messages(one, "rushed")) == 20
        row = await eventually(lambda: one.context.projector.projection.row("rushed"))
        assert row is not None
        assert row.message_count == 20
        events = [e async for e in _created(one, "rushed")]
        assert len(events) == 1


async def _created(api: Api, session_id: str) -> Any:
    batch = await api.mesh.log.batch(RECORDS, f"session.{session_id}.created", 0)
    for message in batch.messages:
        yield message
