"""Sessions that belong to who began them, and are shared with others, at the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from daena_mesh.embedded import NatsServer
from daena_mesh.errors import UnknownSession
from daena_mesh.events import Session
from mesh_api.settings import ApiSettings
from tests.integration.test_api_tokens import ALL, ask, done, problem
from tests.support.api import SESSIONS, Api, running_api
from tests.support.deadlines import eventually
from tests.support.tokens import KEY, token

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.promise("P-MEMBERS-1")]

BEGINS = ("session.*.created",)
ADA, BOB, EVE = (token(write=BEGINS, sub=name) for name in ("ada", "bob", "eve"))
FORBIDDEN = (403, "forbidden")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(shared_nats: NatsServer) -> AsyncIterator[Api]:
    async with running_api(shared_nats.url, settings=ApiSettings(nats_url=shared_nats.url, token_key=KEY)) as running:
        yield running


async def begun(api: Api) -> str:
    """Have ada begin a session."""
    return str((await done(api, ADA, "POST", SESSIONS, {"title": "hers"}))["session_id"])


async def share(api: Api, session_id: str, **change: list[str]) -> Any:
    return await done(api, ADA, "POST", f"{SESSIONS}/{session_id}/members", change)


async def listed(api: Api, shown: str) -> set[str]:
    sessions = (await done(api, shown, "GET", SESSIONS, None))["sessions"]
    return {session["session_id"] for session in sessions}


def everything(session_id: str) -> list[tuple[str, str, Any]]:
    """Give each call about a session, those that end it last."""
    at = f"{SESSIONS}/{session_id}"
    typing = {"event_type": "chat.typing", "id": session_id, "payload": {}}
    return [
        ("GET", at, None),
        ("PUT", at, {"title": "new"}),
        ("POST", f"{at}/messages", {"content": "x"}),
        ("POST", "/api/v1/daena/chat", {"message": "x", "session_id": session_id}),
        ("POST", "/api/v1/events", typing),
        ("GET", f"/api/v1/presence/chat_{session_id}", None),
        ("POST", f"{at}/stop", None),
        ("DELETE", at, None),
    ]


async def test_who_begins_a_session_may_do_everything_in_it_and_others_nothing(api: Api) -> None:
    session_id = await begun(api)
    for method, path, body in [*everything(session_id), *everything("never-was")[:3]]:
        assert problem(await ask(api, BOB, method, path, body)) == FORBIDDEN, path
    members = f"{SESSIONS}/{session_id}/members"
    assert problem(await ask(api, BOB, "POST", members, {"add": ["bob"]})) == FORBIDDEN
    assert session_id in await listed(api, ADA)
    assert session_id not in await listed(api, BOB)
    for method, path, body in everything(session_id):
        response = await ask(api, ADA, method, path, body)
        assert response.status_code == (409 if path.endswith("/stop") else 200), response.text
    assert session_id not in await listed(api, ADA)


async def test_members_may_do_what_the_owner_may_but_for_sharing_it(api: Api) -> None:
    session_id = await begun(api)
    answered = await share(api, session_id, add=["bob", "bob", "ada", "Zoë of *.>"])
    assert answered["session"]["members"] == ["bob", "Zoë of *.>"]
    await eventually(lambda: api.context.projector.projection.belonging_to("bob"))
    assert session_id in await listed(api, BOB)
    members = f"{SESSIONS}/{session_id}/members"
    assert problem(await ask(api, BOB, "POST", members, {"add": ["eve"]})) == FORBIDDEN
    assert problem(await ask(api, BOB, "POST", members, {"remove": ["ada"]})) == FORBIDDEN
    for method, path, body in everything(session_id):
        response = await ask(api, BOB, method, path, body)
        assert response.status_code == (409 if path.endswith("/stop") else 200), response.text


async def test_who_was_removed_may_do_nothing_any_more(api: Api) -> None:
    session_id = await begun(api)
    await share(api, session_id, add=["bob", "eve"])
    assert (await done(api, BOB, "GET", f"{SESSIONS}/{session_id}"))["session"]["members"] == ["bob", "eve"]
    await share(api, session_id, remove=["bob"])
    for method, path, body in everything(session_id):
        assert problem(await ask(api, BOB, method, path, body)) == FORBIDDEN, path
    assert session_id not in await listed(api, BOB)
    assert session_id in await listed(api, EVE)


async def test_the_log_of_a_session_is_read_by_whom_it_belongs_to(api: Api) -> None:
    session_id = await begun(api)
    await share(api, session_id, add=["bob"])
    await done(api, ADA, "POST", f"{SESSIONS}/{session_id}/messages", {"content": "hi"})
    path = f"/api/v1/events?subject=chat.{session_id}.>&subject=session.{session_id}.*"
    events = (await done(api, BOB, "GET", path))["events"]
    assert [event["event_type"] for event in events] == ["session.created", "session.updated", "chat.message"]
    other = await begun(api)
    eve = token("agent.eve.>", sub="eve")
    assert (await done(api, eve, "GET", f"{path}&subject=agent.eve.>"))["events"] == []
    for foreign in (f"chat.{other}.>", "chat.>", ">", "chat.never-was.>"):
        assert problem(await ask(api, BOB, "GET", f"/api/v1/events?subject={foreign}")) == FORBIDDEN


async def test_a_message_to_no_session_begins_one_that_is_the_senders(api: Api) -> None:
    said = await done(api, ADA, "POST", "/api/v1/daena/chat", {"message": "hello"})
    session = await done(api, ADA, "GET", f"{SESSIONS}/{said['session_id']}")
    assert (session["session"]["created_by"], len(session["messages"])) == ("ada", 1)
    named = {"message": "hello", "session_id": f"{said['session_id']}-2"}
    await done(api, ADA, "POST", "/api/v1/daena/chat", named, Prefer="wait=1")
    assert problem(await ask(api, BOB, "POST", "/api/v1/daena/chat", named)) == FORBIDDEN
    nobody = token(sub="ada2")
    assert problem(await ask(api, nobody, "POST", "/api/v1/daena/chat", {"message": "hello"})) == FORBIDDEN
    assert len((await done(api, ADA, "GET", f"{SESSIONS}/{named['session_id']}"))["messages"]) == 1


async def test_a_message_past_the_api_makes_its_sender_the_owner_in_full_or_nobody(api: Api) -> None:
    long = "x" * 256
    for session_id, sender in (("mm-full", long), ("mm-cut", long + "y"), ("mm-none", None), ("mm-odd", {"a": 1})):
        await api.mesh.publish(f"chat.{session_id}.message", {"content": "hi", "sender": sender, "message_id": "m"})
        path = f"{SESSIONS}/{session_id}"

        async def is_there(path: str = path) -> bool:
            return (await ask(api, ALL, "GET", path)).status_code == 200

        await eventually(is_there)
        owner = (await done(api, ALL, "GET", path))["session"]["created_by"]
        assert owner == (long if session_id == "mm-full" else None)
    for user in (long[:200], "unknown", long + "y"):
        if len(user) <= 256:
            assert problem(await ask(api, token(sub=user), "GET", f"{SESSIONS}/mm-cut")) == FORBIDDEN


async def test_sharing_goes_by_etags_and_keys(api: Api) -> None:
    session_id = await begun(api)
    path = f"{SESSIONS}/{session_id}/members"
    key = {"Idempotency-Key": "share"}
    first = await ask(api, ADA, "POST", path, {"add": ["bob"]}, **key)
    again = await ask(api, ADA, "POST", path, {"add": ["bob"]}, **key)
    assert first.json() == again.json()
    assert first.headers["etag"] == again.headers["etag"]
    assert problem(await ask(api, ADA, "POST", path, {"add": ["eve"]}, **key)) == (422, "key-reused")
    stale = {"If-Match": '"1"'}
    assert problem(await ask(api, ADA, "POST", path, {"add": ["eve"]}, **stale)) == (412, "precondition-failed")
    assert problem(await ask(api, EVE, "PUT", f"{SESSIONS}/{session_id}", {"title": "x"}, **stale)) == FORBIDDEN
    kept = {"If-Match": first.headers["etag"]}
    assert (await ask(api, ADA, "POST", path, {"add": ["eve"]}, **kept)).status_code == 200
    gone = [await ask(api, ADA, "DELETE", f"{SESSIONS}/{session_id}", **key) for _ in range(2)]
    assert gone[0].json() == gone[1].json()
    assert gone[0].status_code == 200
    assert problem(await ask(api, ADA, "POST", path, {"add": ["bob"]})) == FORBIDDEN
    assert problem(await ask(api, ALL, "POST", path, {"add": ["bob"]})) == (410, "deleted-session")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"add": [], "remove": []},
        {"add": "bob"},
        {"add": [""]},
        {"add": ["x" * 257]},
        {"remove": [7]},
        {"add": [str(i) for i in range(101)]},
    ],
)
async def test_what_is_no_change_of_members_is_refused(api: Api, body: Any) -> None:
    session_id = await begun(api)
    assert problem(await ask(api, ADA, "POST", f"{SESSIONS}/{session_id}/members", body)) == (422, "wrong-body")


async def test_a_session_has_so_many_members_and_no_more(api: Api) -> None:
    session_id = await begun(api)
    await share(api, session_id, add=[str(i) for i in range(100)])
    more = await ask(api, ADA, "POST", f"{SESSIONS}/{session_id}/members", {"add": ["one more"]})
    assert problem(more) == (422, "invalid-event")
    await share(api, session_id, add=["one more"], remove=["7"])


async def test_who_may_write_the_session_by_pattern_may_share_it(api: Api) -> None:
    session_id = await begun(api)
    pattern = token(write=[f"session.{session_id}.updated"], sub="root2")
    await done(api, pattern, "POST", f"{SESSIONS}/{session_id}/members", {"add": ["bob"]})
    await done(api, BOB, "GET", f"{SESSIONS}/{session_id}")
    unknown = token(write=["session.mm-never.updated"], sub="root2")
    path = f"{SESSIONS}/mm-never/members"
    assert problem(await ask(api, unknown, "POST", path, {"add": ["bob"]})) == (404, "unknown-session")


async def test_a_right_counts_for_the_very_state_that_is_written_over(api: Api) -> None:
    session_id = await begun(api)

    def allowed(session: Session) -> None:
        raise UnknownSession(session.title)

    before = await api.context.sessions.read(session_id)
    for write in (
        api.context.sessions.update(session_id, {"title": "not hers"}, allowed=allowed),
        api.context.sessions.share(session_id, add=["eve"], allowed=allowed),
        api.context.sessions.delete(session_id, allowed=allowed),
    ):
        with pytest.raises(UnknownSession, match="hers"):
            await write
    assert await api.context.sessions.read(session_id) == before
