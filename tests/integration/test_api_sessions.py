"""Sessions over REST on a real nats-server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from daena_mesh.embedded import NatsServer
from daena_mesh.events import Event
from daena_mesh.layout import RECORDS
from tests.support.api import SESSIONS, Api, running_api
from tests.support.deadlines import eventually, within

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def create(api: Api, **fields: object) -> str:
    response = await api.client.post(SESSIONS, json={"title": "T", **fields})
    assert response.status_code == 200
    session_id: str = response.json()["session_id"]
    return session_id


async def listed(api: Api, query: str = "") -> list[str]:
    response = await api.client.get(f"{SESSIONS}?{query}")
    assert response.status_code == 200
    return [session["session_id"] for session in response.json()["sessions"]]


@pytest.mark.promise("P-SESSION-4")
async def test_the_life_of_a_session(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api, api.mesh.subscribe("session.>", "chat.>") as feed, within():
        client = api.client
        fields = {"title": "Plans", "category": "work", "scope_type": "department", "scope_id": "HR"}
        created = await client.post(SESSIONS, json={**fields, "metadata": {"a": 1}})
        session_id = created.json()["session_id"]
        path = f"{SESSIONS}/{session_id}"
        session = created.json()["session"]
        assert {name: session[name] for name in fields} == fields
        assert session["metadata"] == {"a": 1}
        assert session["created_at"] == session["updated_at"]

        updated = await client.put(path, json={"title": "Better plans", "category": None})
        assert updated.status_code == 200
        assert updated.json()["session"] == {
            **session,
            "title": "Better plans",
            "category": None,
            "updated_at": updated.json()["session"]["updated_at"],
        }

        said = await client.post(f"{path}/messages", json={"role": "assistant", "content": "Hi"})
        assert said.json() == {
            "success": True,
            "session_id": session_id,
            "message_id": said.json()["message_id"],
            "cursor": said.json()["cursor"],
        }

        got = await client.get(path)
        assert got.json()["session"] == updated.json()["session"]
        assert got.headers["etag"] == updated.headers["etag"] != created.headers["etag"]
        [message] = got.json()["messages"]
        assert set(message) == {"cursor", "subject", "event_type", "payload", "id", "timestamp"}
        assert (message["cursor"], message["subject"]) == (said.json()["cursor"], f"chat.{session_id}.message")
        assert message["payload"]["sender"] == "assistant"
        assert got.json()["next"] is None

        [item] = (await client.get(SESSIONS)).json()["sessions"]
        assert item == {
            **got.json()["session"],
            "message_count": 1,
            "last_message": {
                "cursor": message["cursor"],
                "message_id": said.json()["message_id"],
                "sender": "assistant",
                "content": "Hi",
                "timestamp": message["timestamp"],
            },
            "etag": got.headers["etag"],
        }

        deleted = await client.delete(path)
        assert deleted.json()["success"]
        assert deleted.json()["message"] == f"Session {session_id} deleted"
        events = [await anext(feed) for _ in range(4)]
        assert [event.event_type for event in events if isinstance(event, Event)] == [
            *("session.created", "session.updated", "chat.message", "session.deleted")
        ]
        changes = events[1].payload if isinstance(events[1], Event) else {}
        assert changes["updates"] == {"title": "Better plans", "category": None}
        assert changes["session"]["title"] == "Better plans"


@pytest.mark.promise("P-SESSION-2")
async def test_what_was_deleted_is_gone_for_good(shared_api: Api) -> None:
    api = shared_api
    session_id = await create(api)
    path = f"{SESSIONS}/{session_id}"
    for i in range(3):
        await api.client.post(f"{path}/messages", json={"sender": "user", "content": f"secret {i}"})
    await api.mesh.publish(f"chat.{session_id}.message.scout", {"content": "secret of an agent", "sender": "scout"})
    await api.mesh.publish(f"chat.{session_id}.typing", {"session_id": session_id, "sender": "user"})
    await api.mesh.publish(f"session.{session_id}.renamed", {"title": "secret"})
    await api.client.delete(path)
    for method, end, body in (
        ("GET", "", None),
        ("PUT", "", {"title": "Back"}),
        ("DELETE", "", None),
        ("POST", "/messages", {"sender": "u", "content": "x"}),
    ):
        response = await api.client.request(method, path + end, json=body)
        assert response.status_code == 410, method
        assert response.json()["detail"] == f"session '{session_id}' was deleted"
    event = {"event_type": "chat.message", "id": session_id, "payload": {"sender": "u", "content": "x"}}
    assert (await api.client.post("/api/v1/events", json=event)).status_code == 410
    assert await api.mesh.log.head(RECORDS, [f"chat.{session_id}.>"]) == 0
    left = await api.mesh.log.batch(RECORDS, f"session.{session_id}.>", 0)
    assert [message.subject for message in left.messages] == [f"session.{session_id}.deleted".encode()]
    assert session_id not in await listed(api)

    # What is published natively afterwards does not bring it back either.
    await api.mesh.chat(session_id).send("still here?", sender="ghost")
    state = {"session_id": session_id, "title": "Back", "created_at": "now", "updated_at": "now"}
    await api.mesh.publish(f"session.{session_id}.created", {"session_id": session_id, "session": state})

    async def is_purged() -> bool:
        left = await api.mesh.log.batch(RECORDS, f"session.{session_id}.>", 0)
        return await api.mesh.log.head(RECORDS, [f"chat.{session_id}.>"]) == 0 and len(left.messages) == 1

    await eventually(is_purged)
    assert (await api.client.get(path)).status_code == 410


@pytest.mark.promise("P-SESSION-2")
async def test_a_deletion_that_a_crash_left_half_done_is_completed_at_the_next_start(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api:
        session_id = await create(api)
        await api.client.put(f"{SESSIONS}/{session_id}", json={"title": "T2"})
        await api.client.post(f"{SESSIONS}/{session_id}/messages", json={"sender": "u", "content": "secret"})
        store, mesh = api.context.sessions, api.mesh
        api.context.upkeep.want_purge = lambda session_id: None  # type: ignore[method-assign]  # noqa: ARG005
        await store.delete(session_id)  # and here the process dies
        assert await mesh.log.head(RECORDS, [f"chat.{session_id}.>"]) > 0
    async with running_api(nats_server.url) as api:
        log = api.mesh.log

        async def is_purged() -> bool:
            left = await log.batch(RECORDS, f"session.{session_id}.>", 0)
            return await log.head(RECORDS, [f"chat.{session_id}.>"]) == 0 and len(left.messages) == 1

        await eventually(is_purged)
        assert (await api.client.get(f"{SESSIONS}/{session_id}")).status_code == 410


@pytest.mark.promise("P-SESSION-1")
async def test_of_fifty_writers_who_saw_the_same_one_wins(shared_api: Api) -> None:
    api = shared_api
    created = await api.client.post(SESSIONS, json={"title": "T"})
    path = f"{SESSIONS}/{created.json()['session_id']}"
    headers = {"If-Match": created.headers["etag"]}
    calls = [api.client.put(path, json={"title": f"by {i}"}, headers=headers) for i in range(50)]
    responses = await asyncio.gather(*calls)
    [winner] = [response for response in responses if response.status_code == 200]
    assert {response.status_code for response in responses} == {200, 412}
    got = await api.client.get(path)
    assert got.json()["session"] == winner.json()["session"]
    assert got.headers["etag"] == winner.headers["etag"]


@pytest.mark.promise("P-SESSION-1")
async def test_writers_of_different_fields_all_come_through(shared_nats: NatsServer) -> None:
    async with running_api(shared_nats.url) as one, running_api(shared_nats.url) as two:
        session_id = await create(one)
        changes: list[dict[str, Any]] = [{"title": "new"}, {"category": "c"}, {"scope_id": "s"}, {"metadata": {"m": 1}}]
        calls = [
            api.client.put(f"{SESSIONS}/{session_id}", json=change)
            for api, change in zip([one, two] * 2, changes, strict=True)
        ]
        assert {response.status_code for response in await asyncio.gather(*calls)} == {200}
        session = (await two.client.get(f"{SESSIONS}/{session_id}")).json()["session"]
        merged = {name: value for change in changes for name, value in change.items()}
        assert {name: session[name] for name in merged} == merged


@pytest.mark.parametrize(
    ("if_match", "status"), [("*", 200), ('"0"', 412), ('W/"1"', 412), ("nonsense", 412), ("current", 200)]
)
async def test_if_match(shared_api: Api, if_match: str, status: int) -> None:
    api = shared_api
    created = await api.client.post(SESSIONS, json={"title": "T"})
    headers = {"If-Match": created.headers["etag"] if if_match == "current" else if_match}
    path = f"{SESSIONS}/{created.json()['session_id']}"
    assert (await api.client.put(path, json={"title": "T2"}, headers=headers)).status_code == status
    if status == 412:
        assert (await api.client.delete(path, headers=headers)).status_code == 412
        assert (await api.client.get(path)).json()["session"]["title"] == "T"


@pytest.mark.promise("P-RETRY-1")
async def test_repeated_writes_happen_once(shared_api: Api) -> None:
    api = shared_api
    client = api.client

    async def twice(method: str, path: str, **options: object) -> dict[str, object]:
        first, *others = [await client.request(method, path, **options) for _ in range(3)]  # type: ignore[arg-type]
        assert first.status_code == 200, first.text
        for other in others:
            assert (other.status_code, other.text) == (200, first.text)
        answer: dict[str, Any] = first.json()
        return answer

    created = await twice("POST", SESSIONS, json={"title": "T"}, headers={"Idempotency-Key": "create"})
    path = f"{SESSIONS}/{created['session_id']}"
    etag = (await client.get(path)).headers["etag"]
    headers = {"Idempotency-Key": "update", "If-Match": etag}
    await twice("PUT", path, json={"title": "T2"}, headers=headers)
    # Somebody changes it again, and only then the retry comes.
    await client.put(path, json={"category": "later"})
    late = await client.put(path, json={"title": "T2"}, headers=headers)
    assert (late.status_code, late.json()["session"]["category"]) == (200, None)
    assert (await client.get(path)).json()["session"]["category"] == "later"
    message = {"sender": "u", "content": "x"}
    await twice("POST", f"{path}/messages", json=message, headers={"Idempotency-Key": "say"})
    assert len((await client.get(path)).json()["messages"]) == 1
    await twice("DELETE", path, headers={"Idempotency-Key": "delete"})
    # The key belongs to another request: that one is refused, and says why.
    again = await client.post(SESSIONS, json={"title": "Other"}, headers={"Idempotency-Key": "create"})
    assert again.status_code in {410, 422}


async def test_a_key_for_other_changes_is_refused(shared_api: Api) -> None:
    api = shared_api
    headers = {"Idempotency-Key": "same"}
    assert (await api.client.post(SESSIONS, json={"title": "A"}, headers=headers)).status_code == 200
    refused = await api.client.post(SESSIONS, json={"title": "B"}, headers=headers)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:daena-mesh:problem:key-reused")
    path = f"{SESSIONS}/{await create(api)}"
    assert (await api.client.put(path, json={"title": "C"}, headers=headers)).status_code == 200
    assert (await api.client.put(path, json={"title": "D"}, headers=headers)).status_code == 422


async def test_the_list_is_newest_first_paged_and_filtered(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api:
        hr = {"scope_type": "department", "scope_id": "HR"}
        ids = [await create(api, title=f"S{i}", category="even" if i % 2 == 0 else "odd", **hr) for i in range(5)]
        assert await listed(api) == ids[::-1]
        await api.client.post(f"{SESSIONS}/{ids[1]}/messages", json={"sender": "u", "content": "up"})
        await api.client.put(f"{SESSIONS}/{ids[0]}", json={"title": "up"})
        order = [ids[0], ids[1], ids[4], ids[3], ids[2]]
        assert await listed(api) == order
        assert await listed(api, "category=even") == [ids[0], ids[4], ids[2]]
        assert await listed(api, "scope_type=department&scope_id=HR&category=odd") == [ids[1], ids[3]]
        assert await listed(api, "scope_id=IT") == []
        found: list[str] = []
        query: str | None = "limit=2"
        while query is not None:
            page = (await api.client.get(f"{SESSIONS}?{query}")).json()
            found += [session["session_id"] for session in page["sessions"]]
            query = f"limit=2&cursor={page['next']}" if page["next"] else None
        assert found == order


async def test_messages_are_paged_by_cursor(shared_api: Api) -> None:
    api = shared_api
    session_id = await create(api)
    path = f"{SESSIONS}/{session_id}"
    for i in range(7):
        await api.mesh.publish(f"chat.{session_id}.message{'.scout' if i % 3 else ''}", {"content": i, "sender": "u"})
        await api.mesh.chat("somebody-else").send("between", sender="x")
    pages, before = [], ""
    while True:
        page = (await api.client.get(f"{path}?limit=3{before}")).json()
        pages.append([message["payload"]["content"] for message in page["messages"]])
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert pages == [[4, 5, 6], [1, 2, 3], [0]]
    for cursor in ("nonsense", "Rabc-1", page["cursors"].split(".")[1], ""):
        refused = await api.client.get(f"{path}?before={cursor}")
        assert refused.status_code == 422, cursor
    for limit in ("0", "201", "x"):
        assert (await api.client.get(f"{path}?limit={limit}")).status_code == 422


async def test_history_and_then_a_socket_miss_nothing(shared_api: Api) -> None:
    """``cursors`` of the answer, given as ``since``, go on where the history ends; while others keep talking."""
    api = shared_api
    async with within(20):
        session_id = await create(api)
        talking = asyncio.create_task(_talk(api, session_id, 200))
        await asyncio.sleep(0)
        got = (await api.client.get(f"{SESSIONS}/{session_id}?limit=200")).json()
        seen = {message["cursor"] for message in got["messages"]}
        async with api.mesh.subscribe(f"chat.{session_id}.>", since=got["cursors"]) as feed:
            sent = await talking
            while not seen.issuperset(sent):
                event = await anext(feed)
                assert isinstance(event, Event)
                seen.add(event.cursor)
        assert seen == set(sent)


async def _talk(api: Api, session_id: str, count: int) -> list[str]:
    return [(await api.mesh.chat(session_id).send(f"{i}", sender="u")).cursor for i in range(count)]


async def test_unknown_sessions_are_not_found(shared_api: Api) -> None:
    api = shared_api
    path = f"{SESSIONS}/nowhere"
    for method, end, body in (
        *(("GET", "", None), ("PUT", "", {"title": "x"}), ("DELETE", "", None)),
        ("POST", "/messages", {"sender": "u", "content": "x"}),
    ):
        response = await api.client.request(method, path + end, json=body)
        assert response.status_code == 404
        assert response.json()["type"] == "urn:daena-mesh:problem:unknown-session"


@pytest.mark.parametrize(
    ("method", "end", "body"),
    [
        ("PUT", "", {}),
        ("PUT", "", {"title": None}),
        ("PUT", "", {"title": ""}),
        ("PUT", "", {"scope_type": 1}),
        ("POST", "/messages", {"content": "x"}),
        ("POST", "/messages", {"sender": "u"}),
    ],
)
async def test_wrong_bodies(shared_api: Api, method: str, end: str, body: dict[str, object]) -> None:
    api = shared_api
    path = f"{SESSIONS}/{await create(api)}{end}"
    assert (await api.client.request(method, path, json=body)).status_code == 422
