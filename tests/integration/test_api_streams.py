"""What the API knows of messages that are being written: where they begin, how they are stopped, and that they end."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from typing import Any

import pytest

from daena_mesh import Mesh, StreamWriter
from daena_mesh.assembly import Assembly
from daena_mesh.embedded import NatsServer
from daena_mesh.events import Event
from daena_mesh.provisioning import provision
from daena_mesh.subjects import subject_for
from mesh_api import stream_tender
from mesh_api.text_streams import TextStream
from mesh_api.unfinished import Unfinished
from tests.support.api import SESSIONS, Api, running_api, shared_api
from tests.support.deadlines import eventually, within
from tests.support.meshes import events

__all__ = ["shared_api"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have tenders take writers for dead soon."""
    for name, seconds in {"SILENT_S": 1.5, "_QUIET_S": 0.3, "_PAUSE_S": 0.1}.items():
        monkeypatch.setattr(stream_tender, name, seconds)


async def piece(mesh: Mesh, session_id: str, index: int, text: str = "x", **more: Any) -> None:
    """Store what a writer would send that then dies."""
    payload = {"message_id": "m1", "sender": "daena", "run": "a", "index": index, "text": text, **more}
    author = more.pop("author", None)
    await mesh.publish(subject_for("chat.delta", session_id, author), {"session_id": session_id, **payload})


async def sent(out: StreamWriter, text: str, mesh: Mesh) -> None:
    """Write, and wait until it is stored."""
    async with mesh.subscribe(f"chat.{out.session_id}.delta") as feed, within():
        await out.write(text)
        while (await events(feed, 1))[0].payload["text"] == "":
            pass


async def session(api: Api) -> str:
    """Begin a session, and give its id."""
    session_id = f"s{secrets.token_hex(4)}"
    await api.mesh.chat(session_id).send("Well?", sender="user")
    await eventually(lambda: api.context.projector.projection.has(session_id))
    return session_id


async def opened(api: Api, session_id: str) -> dict[str, Any]:
    response = await api.client.get(f"{SESSIONS}/{session_id}")
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def shown_since(mesh: Mesh, session_id: str, since: str, count: int) -> list[Event]:
    """Give what comes up to so many pieces of text."""
    found: list[Event] = []
    async with mesh.subscribe(f"chat.{session_id}.>", since=since) as feed, within():
        while len(of_text(found)) < count:
            found += await events(feed, 1)
    return found


def of_text(found: list[Event]) -> list[Event]:
    """Those that say something: one without a text only tells that somebody writes, who was slow to begin or go on."""
    return [event for event in found if event.payload["text"]]


@pytest.mark.promise("P-STREAM-6")
async def test_who_opens_a_session_is_told_from_where_on_no_token_is_missing(shared_api: Api) -> None:
    mesh, session_id = shared_api.mesh, await session(shared_api)
    answer = await opened(shared_api, session_id)
    assert answer["since"] == answer["cursors"]
    async with mesh.chat(session_id).stream("daena", in_reply_to="q1") as out:
        await sent(out, "Hel", mesh)
        await sent(out, "lo", mesh)
        answer = await opened(shared_api, session_id)
        pieces = await shown_since(mesh, session_id, answer["since"], 2)
        assert [event.payload["text"] for event in of_text(pieces)] == ["Hel", "lo"]
        assert [event.payload.get("in_reply_to") for event in pieces] == ["q1"] + [None] * (len(pieces) - 1)
    answer = await opened(shared_api, session_id)
    assert answer["since"] == answer["cursors"]
    assert answer["messages"][-1]["payload"]["content"] == "Hello"


async def test_of_several_messages_in_the_making_the_first_counts_and_what_ended_does_not(shared_api: Api) -> None:
    mesh, session_id = shared_api.mesh, await session(shared_api)
    chat = mesh.chat(session_id)
    async with chat.stream("a") as ended:
        await ended.write("ended long ago")
    async with AsyncExitStack() as stack:  # one after the other: who is slow to write sends a piece without a text
        for sender, text in (("b", "1"), ("c", "2")):
            out = await stack.enter_async_context(chat.stream(sender, message_id=sender))
            await sent(out, text, mesh)
        for i in range(120):  # so that the ended one is on none of the newest pages
            await chat.send(str(i), sender="user")
        found = await shared_api.context.unfinished.of(session_id)
        assert [stream.sender for stream in found] == ["b", "c"]
        answer = await opened(shared_api, session_id)
        pieces = await shown_since(mesh, session_id, answer["since"], 2)
        assert [event.payload["sender"] for event in of_text(pieces)] == ["b", "c"]
        async with chat.stream("b", message_id="b") as again:  # another one takes over
            await sent(again, "anew", mesh)
            answer = await opened(shared_api, session_id)
            pieces = await shown_since(mesh, session_id, answer["since"], 2)
            assert [event.payload["text"] for event in of_text(pieces)] == ["2", "anew"]
            again.abandon()


@pytest.mark.promise("P-STREAM-3")
async def test_a_call_stops_the_writer(shared_api: Api) -> None:
    mesh, session_id = shared_api.mesh, await session(shared_api)
    url = f"{SESSIONS}/{session_id}/stop"
    nobody = await shared_api.client.post(url)
    assert (nobody.status_code, nobody.json()["type"]) == (409, "urn:daena-mesh:problem:nobody-writes")
    async with within(), mesh.chat(session_id).stream("daena") as out:
        await sent(out, "so far", mesh)
        other = await shared_api.client.post(url, json={"message_id": "another"})
        assert other.status_code == 409
        stopped = await shared_api.client.post(url, json={"message_id": out.message_id})
        assert stopped.status_code == 200, stopped.text
        assert stopped.json() == {"success": True, "session_id": session_id, "cursor": stopped.json()["cursor"]}
        await asyncio.Event().wait()
    message = (await opened(shared_api, session_id))["messages"][-1]
    assert message["payload"]["content"] == "so far"
    assert message["payload"]["metadata"] == {"incomplete": True, "reason": "stopped"}
    assert (await shared_api.client.post(url)).status_code == 409


async def test_a_long_text_is_sent_anew_before_its_beginning_expires(
    shared_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daena_mesh.pieces.RENEW_AFTER_S", 0.2)
    mesh, session_id = shared_api.mesh, await session(shared_api)
    async with mesh.subscribe(f"chat.{session_id}.delta") as feed, mesh.chat(session_id).stream("daena") as out:
        runs: dict[str, Assembly] = {}
        while len(runs) < 4:
            await out.write("on ")
            (event,) = await events(feed, 1)
            assembly = runs.setdefault(event.payload["run"], Assembly())
            assembly.take(event.payload["run"], event.payload["index"], event.payload["text"])
            assert (assembly.text, assembly.is_whole) == (out.text, True)
        answer = await opened(shared_api, session_id)
        (first,) = await shown_since(mesh, session_id, answer["since"], 1)
        assert (first.payload["index"], first.payload["run"]) == (0, list(runs)[-1])


async def test_a_call_without_a_body_stops_whoever_writes_and_a_retry_says_the_same(shared_api: Api) -> None:
    mesh, session_id = shared_api.mesh, f"s{secrets.token_hex(4)}"
    headers = {"Idempotency-Key": "once"}
    await piece(mesh, session_id, 0)
    first = await shared_api.client.post(f"{SESSIONS}/{session_id}/stop", headers=headers)
    again = await shared_api.client.post(f"{SESSIONS}/{session_id}/stop", headers=headers)
    assert (first.status_code, first.json()) == (200, again.json())


@pytest.mark.parametrize(
    ("session_id", "body", "status"),
    [("unknown", {}, 404), ("a.b", {}, 422), ("*", {}, 422), ("unknown", {"message_id": 5}, 422), ("unknown", [], 422)],
)
async def test_a_stop_that_makes_no_sense_is_refused(shared_api: Api, session_id: str, body: Any, status: int) -> None:
    refused = await shared_api.client.post(f"{SESSIONS}/{session_id}/stop", json=body)
    assert refused.status_code == status


@pytest.mark.promise("P-STREAM-7")
@pytest.mark.usefixtures("impatient")
async def test_two_apis_end_the_message_of_a_dead_writer_once(nats_server: NatsServer) -> None:
    async with within(40), running_api(nats_server.url) as one, running_api(nats_server.url) as two:
        mesh = one.mesh
        async with mesh.subscribe("chat.*.message", "chat.*.message.*") as feed:
            await piece(mesh, "dead", 0, "Hel", in_reply_to="q1")
            await piece(mesh, "dead", 1, "lo")
            await piece(mesh, "again", 0, "older")
            await piece(mesh, "again", 0, "newer", run="b", author="scout")
            await piece(mesh, "again", 1, "late of the older")
            found = {event.payload["session_id"]: event for event in await events(feed, 2)}
        assert found["dead"].payload == {
            "session_id": "dead",
            "sender": "daena",
            "content": "Hello",
            "message_id": "m1",
            "metadata": {"incomplete": True, "reason": "lost", "in_reply_to": "q1"},
        }
        assert found["again"].payload["content"] == "newer"
        assert (found["dead"].subject, found["again"].subject) == ("chat.dead.message", "chat.again.message.scout")
        await eventually(lambda: not [*one.context.unfinished, *two.context.unfinished])
        assert one.context.tender.ended + two.context.tender.ended == 2
        assert f"mesh_api_streams_ended_total {one.context.tender.ended}" in (await one.client.get("/metrics")).text
        assert len(await mesh.chat("dead").history()) == 1

        # The writer was only frozen: it finds that its message has ended, and adds nothing.
        async with mesh.chat("dead").stream("daena", message_id="m1") as out:
            await out.write("Hello, and more")
        assert out.ack is not None
        assert (out.ack.cursor, out.ack.duplicate) == (found["dead"].cursor, True)
        await eventually(lambda: not [*one.context.unfinished, *two.context.unfinished])
        assert len(await mesh.chat("dead").history()) == 1


@pytest.mark.usefixtures("impatient")
async def test_who_writes_slowly_is_not_taken_for_dead(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daena_mesh.pieces.BEAT_S", 0.5)
    async with within(30), running_api(nats_server.url) as api:
        async with api.mesh.subscribe("chat.slow.delta") as feed, api.mesh.chat("slow").stream("daena") as out:
            await out.write("Well…")
            beats = await events(feed, 8)  # longer than a dead one has
            assert [event.payload["text"] for event in beats] == ["Well…"] + [""] * 7
            await out.write(" yes.")
        assert out.ack is not None
        assert (out.ack.duplicate, api.context.tender.ended) == (False, 0)


@pytest.mark.usefixtures("impatient")
async def test_what_anybody_may_publish_keeps_no_tender_from_its_work(nats_server: NatsServer) -> None:
    async with within(30), running_api(nats_server.url) as api, api.mesh.subscribe("chat.*.message") as feed:
        body = b'{"message_id":"m1","index":0,"text":"x","run":"a"}'
        for subject in ("chat.b@d.delta", "chat.s1.delta.a@b", "chat.s2.delta.LIST", "chat.s3.delta", "chat.s4.delta"):
            bodies = [
                b"no JSON",
                b"[]",
                b'{"message_id":5}',
                b'{"message_id":"m2","sender":{},"index":"x","text":[]}',
                body,
            ]
            for each in bodies:
                await api.mesh.connection.request(subject, each, timeout_s=5)
        found = {event.payload["session_id"]: event.payload for event in await events(feed, 4)}
        assert sorted(found) == ["s3", "s4"]
        assert await Unfinished(api.mesh).of("s1") == []
        await eventually(lambda: not list(api.context.unfinished))


async def test_what_counts_anew_is_read_anew(nats_server: NatsServer) -> None:
    async with within(30), running_api(nats_server.url) as api:
        for index in range(20):
            await piece(api.mesh, "s1", index)
        await eventually(lambda: [stream.last_seq for stream in api.context.unfinished] == [21])
        await api.mesh.connection.request("$JS.API.STREAM.DELETE.SIGNALS", b"", timeout_s=5)
        await provision(api.mesh.connection, api.mesh.layout, api.mesh.settings)
        await piece(api.mesh, "s1", 0, message_id="m2")
        found = [stream.message_id for stream in await eventually(lambda: of_new_life(api))]
        assert found == ["m2"]


async def of_new_life(api: Api) -> list[TextStream]:
    """Give what is being written in the session once the API knows that the stream was made anew."""
    streams = await api.context.unfinished.of("s1")
    return [] if any(stream.message_id == "m1" for stream in streams) else streams


@pytest.mark.usefixtures("impatient")
async def test_what_was_being_written_in_a_deleted_session_stays_gone(nats_server: NatsServer) -> None:
    async with within(30), running_api(nats_server.url) as api:
        session_id = await session(api)
        await piece(api.mesh, session_id, 0)
        await eventually(lambda: list(api.context.unfinished))
        assert (await api.client.delete(f"{SESSIONS}/{session_id}")).status_code == 200
        await eventually(lambda: not list(api.context.unfinished))
        assert api.context.tender.ended == 0


@pytest.mark.usefixtures("impatient")
async def test_a_text_that_somebody_else_wrote_too_long_is_cut_to_what_fits(nats_server: NatsServer) -> None:
    async with within(30), running_api(nats_server.url) as api, api.mesh.subscribe("chat.big.message") as feed:
        for index in range(3):
            await piece(api.mesh, "big", index, "x" * 40_000)
        (message,) = await events(feed, 1)
        assert 65_000 < len(message.payload["content"]) < 65_536
