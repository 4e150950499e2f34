"""What agents and services do with the SDK, against a real nats-server."""

from __future__ import annotations

import asyncio
import inspect
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import daena_mesh
from daena_mesh import sync
from daena_mesh.connection import header_block
from daena_mesh.embedded import NatsServer
from daena_mesh.emitters import close_default_mesh, default_mesh
from daena_mesh.errors import (
    InvalidCursor,
    InvalidEvent,
    InvalidId,
    InvalidSubject,
    MeshError,
    MeshUnavailable,
    UnknownSession,
)
from daena_mesh.feed import MOST_WAITING
from daena_mesh.mesh import Mesh
from daena_mesh.sessions import SessionStore
from tests.support.deadlines import eventually, within
from tests.support.meshes import contents, events, mesh_at, running, take

HOSTILE = ["*", ">", "a.b", "", "a" * 5_000, "a\x00b", "a\r\nPUB live.x 1\r\nx", "a b", "ä", "\ud800"]


@pytest.fixture
async def mesh(nats_server: NatsServer) -> Any:
    async with running(nats_server.url) as mesh:
        yield mesh


# -- publish, subscribe, chat ---------------------------------------------------------------------------------------


async def test_what_is_published_is_followed_once_and_in_order(mesh: Mesh) -> None:
    async with mesh.subscribe("chat.s1.>", "session.s1.>") as feed:
        acks = [await mesh.publish(f"chat.s{1 + i % 2}.message", {"n": i}) for i in range(20)]
        found = await events(feed, 10)
        assert [event.payload["n"] for event in found] == list(range(0, 20, 2))
        assert [event.cursor for event in found] == [ack.cursor for ack in acks[::2]]
        assert [event.id for event in found] == [ack.id for ack in acks[::2]]
        assert {event.source for event in found} == {"test"}
        assert str(feed.positions["R"]) == acks[18].cursor
    async with mesh.subscribe("chat.s1.>", since=acks[4].cursor) as feed:
        assert [event.payload["n"] for event in await events(feed, 7)] == list(range(6, 20, 2))


@pytest.mark.promise("P-ORDER-1")
async def test_replay_and_live_meet_without_a_seam(mesh: Mesh) -> None:
    chat = mesh.chat("s1")
    first = await chat.send("first", sender="user")

    async def go_on() -> None:
        for i in range(500):
            await chat.send(str(i), sender="user")

    writing = asyncio.create_task(go_on())
    feeds = []
    for _ in range(10):
        await asyncio.sleep(0)
        feed = mesh.subscribe("chat.s1.message", since=first.cursor)
        await feed.ready()
        feeds.append(feed)
    for feed in feeds:
        assert await contents(feed, 500) == [str(i) for i in range(500)]
        feed.close()
    await writing


@pytest.mark.promise("P-SLOW-1")
async def test_a_reader_slower_than_the_events_is_served_from_the_log(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daena_mesh.feed.MOST_WAITING", 50)
    async with mesh.subscribe("chat.s1.>", "agent.a.>") as feed:
        for i in range(120):
            await mesh.publish("chat.s1.message", {"n": i})
            await mesh.publish("agent.a.activity", {"n": i})
        assert len(feed._queue.items) == 50
        found = await events(feed, 240)
    for domain in ("chat", "agent"):
        assert [e.payload["n"] for e in found if e.event_type.startswith(domain)] == list(range(120))
    assert MOST_WAITING > 1_000


async def test_a_feed_ends_when_it_or_its_mesh_is_closed(nats_server: NatsServer) -> None:
    async with within(10):
        async with running(nats_server.url) as mesh:
            feed, other = mesh.subscribe("chat.>"), mesh.subscribe("agent.>")
            await feed.ready()
            waiting = [asyncio.create_task(anext(feed)), asyncio.create_task(anext(other))]
            await asyncio.sleep(0)
            feed.close()
            feed.close()
            with pytest.raises(StopAsyncIteration):
                await waiting[0]
        with pytest.raises(StopAsyncIteration):
            await waiting[1]
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("heal")]


async def test_a_loop_that_was_left_by_break_follows_no_longer(mesh: Mesh) -> None:
    async def first() -> str:
        async for event in mesh.chat("s1").listen():
            return str(event.payload["content"])
        raise AssertionError("it ended")

    reading = asyncio.create_task(first())
    await eventually(lambda: any(s == b"live.chat.s1.message" for s in mesh.connection._subjects.values()))

    async def is_heard() -> bool:
        await mesh.chat("s1").send("hi", sender="user")
        return reading.done()

    await eventually(is_heard)
    assert await reading == "hi"
    await eventually(lambda: not any(s.startswith(b"live.chat") for s in mesh.connection._subjects.values()))


async def test_chat_sends_listens_and_remembers(mesh: Mesh) -> None:
    chat = mesh.chat("s1")
    ack = await chat.send("one", sender="user", metadata={"a": 1}, message_id="m1")
    assert (await chat.send("one", sender="user", message_id="m1")).duplicate
    await chat.send("two", sender="ada")
    (message, other) = await chat.history()
    assert message.payload == {
        "session_id": "s1",
        "sender": "user",
        "content": "one",
        "message_id": "m1",
        "metadata": {"a": 1},
    }
    assert (message.id, message.cursor, other.payload["sender"]) == ("m1", ack.cursor, "ada")
    async with within(5):
        async for event in chat.listen(since=ack.cursor):
            assert event.payload["content"] == "two"
            break
    with pytest.raises(InvalidCursor):
        await anext(chat.listen(since="nonsense"))


# -- emitters -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def here(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A mesh that provisions, and whose server is where the emitters look."""
    monkeypatch.setenv("MESH_NATS_URL", nats_server.url)
    async with running(nats_server.url) as mesh:
        yield mesh
        await close_default_mesh()


EMITTED: list[tuple[str, tuple[Any, ...], str, dict[str, Any]]] = [
    (
        *("emit_chat_message", ("s1", "user", "hi", {"a": 1}), "chat.s1.message"),
        {"session_id": "s1", "sender": "user", "content": "hi", "metadata": {"a": 1}},
    ),
    (
        *("emit_session_created", ("s1", "One", "work"), "session.s1.created"),
        {"session_id": "s1", "title": "One", "category": "work", "scope_type": "executive", "scope_id": None},
    ),
    (
        "emit_session_updated",
        ("s1", {"title": "Two"}),
        "session.s1.updated",
        {"session_id": "s1", "updates": {"title": "Two"}},
    ),
    (
        "emit_agent_activity",
        ("a1", {"state": "searching"}),
        "agent.a1.activity",
        {"agent_id": "a1", "activity": {"state": "searching"}},
    ),
    ("emit_brain_status", ({"load": 1}, "b1"), "brain.b1.status", {"brain_id": "b1", "status": {"load": 1}}),
    ("emit_brain_status", ("ready",), "brain.main.status", {"brain_id": "main", "status": "ready"}),
    (
        "emit_task_update",
        ("t1", "running", 0.5),
        "task.t1.update",
        {"task_id": "t1", "status": "running", "progress": 0.5},
    ),
    ("emit_council_update", ("c1", {"vote": 1}), "council.c1.update", {"council_id": "c1", "update": {"vote": 1}}),
]


@pytest.mark.parametrize("way", ["async", "sync"])
async def test_the_seven_emitters(here: Mesh, way: str) -> None:
    async with here.subscribe(">") as feed:
        for name, arguments, subject, payload in EMITTED:
            if way == "async":
                ack = await getattr(daena_mesh, name)(*arguments)
            else:
                ack = await asyncio.to_thread(getattr(sync, name), *arguments)
            (event,) = await events(feed, 1)
            assert (event.subject, event.id, event.cursor) == (subject, ack.id, ack.cursor)
            assert {**event.payload, **payload} == event.payload
            assert event.typed.id_field
            if subject.startswith("session."):
                assert event.payload["session"]["title"] in {"One", "Two"}
    await asyncio.to_thread(sync.close)


async def test_emitters_refuse_what_is_wrong(here: Mesh) -> None:
    with pytest.raises(UnknownSession):
        await daena_mesh.emit_session_updated("nobody", {"title": "x"})
    with pytest.raises(InvalidEvent):
        await daena_mesh.emit_agent_activity("a1", object())
    for ident in HOSTILE:
        for emit, arguments in (
            (daena_mesh.emit_chat_message, (ident, "user", "hi")),
            (daena_mesh.emit_session_created, (ident, "One")),
            (daena_mesh.emit_session_updated, (ident, {})),
            (daena_mesh.emit_agent_activity, (ident, "x")),
            (daena_mesh.emit_brain_status, ("x", ident)),
            (daena_mesh.emit_task_update, (ident, "x")),
            (daena_mesh.emit_council_update, (ident, "x")),
        ):
            with pytest.raises(InvalidId, match=r"safe_id\(\)"):
                await emit(*arguments)
    assert default_mesh().connection.connects == 1


async def test_loops_in_two_threads_keep_a_mesh_each(here: Mesh) -> None:
    for _ in range(3):
        await daena_mesh.emit_agent_activity("a1", "x")
        await asyncio.to_thread(sync.emit_agent_activity, "a1", "y")
        assert default_mesh().connection.connects == 1
    await asyncio.to_thread(sync.close)
    assert await here.log.bounds("SIGNALS") == (1, 7)


PROGRAM = """
import asyncio
from daena_mesh import emit_agent_activity, emit_chat_message
asyncio.run({call})
"""


@pytest.mark.parametrize("call", ["emit_chat_message('s1', 'user', 'hi')", "emit_agent_activity('a1', 'busy')"])
async def test_a_program_of_three_lines_is_heard(here: Mesh, nats_server: NatsServer, call: str) -> None:
    async with here.subscribe("chat.>", "agent.>") as feed:
        environ = {"MESH_NATS_URL": nats_server.url, "PATH": ""}
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", PROGRAM.format(call=call)],
            env=environ,
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert await events(feed, 1)


# -- what must not be believed, and must not harm -------------------------------------------------------------------


@pytest.mark.promise("P-ID-1")
@pytest.mark.parametrize("ident", HOSTILE, ids=lambda ident: ascii(ident[:12]))
async def test_hostile_ids_leave_the_connection_unharmed(mesh: Mesh, ident: str) -> None:
    calls: list[Any] = [
        lambda: mesh.chat(ident),
        lambda: mesh.publish(f"chat.{ident}.message.me", {}),
        lambda: mesh.publish(f"agent.x.activity.{ident}", {}),
        lambda: SessionStore(mesh).read(ident),
        lambda: SessionStore(mesh).create(ident, title="x"),
    ]
    if ident not in {"*", ">", "a.b"}:
        calls.append(lambda: mesh.subscribe(f"chat.{ident}"))
    calls.append(lambda: mesh.subscribe("a." * 2_000 + "a"))

    async def made(call: Any) -> None:
        done = call()
        if inspect.isawaitable(done):
            await done

    for call in calls:
        with pytest.raises((InvalidId, InvalidSubject)):
            await made(call)
    await mesh.publish("agent.a.activity", {"n": 1})
    assert (mesh.connection.connects, mesh.connection.state) == (1, "connected")


@pytest.mark.promise("P-POISON-1")
async def test_poison_moves_positions_and_disconnects_nobody(mesh: Mesh) -> None:
    async with mesh.subscribe("agent.>", ">") as feed:
        client = mesh.connection.client
        poison = [b"hello", b"", b"[]", b'{"event_type":"x.y","payload":{}}', b"\xff", b'{"a":NaN}', b"x" * 1_000_000]
        for body in poison:
            await client.jetstream().publish("agent.a.activity", body)
        await client.jetstream().publish("agent.a.b.c.d.e", b"{}")
        ack = await mesh.publish("agent.a.activity", {"n": 1})
        (event,) = await events(feed, 1)
        assert event.cursor == ack.cursor
        assert ack.seq == 2 + len(poison) + 1
    async with mesh.subscribe("agent.>", since=str(mesh.log.position("SIGNALS", 1))) as feed:
        assert (await events(feed, 1))[0].cursor == ack.cursor
    assert mesh.connection.connects == 1


@pytest.mark.promise("P-NATIVE-1")
async def test_a_bare_object_is_an_event_with_its_header_as_id(mesh: Mesh) -> None:
    async with mesh.subscribe("agent.scout.>") as feed:
        await mesh.connection.client.publish("agent.scout.activity", b'{"activity":{"state":"searching"}}')
        js = mesh.connection.client.jetstream()
        await js.publish("agent.scout.activity", b'{"n":1}', headers={"Nats-Msg-Id": "mine"})
        bare, own = await events(feed, 2)
    assert (bare.event_type, bare.payload, bare.id) == (
        "agent.activity",
        {"activity": {"state": "searching"}},
        bare.cursor,
    )
    assert own.id == "mine"
    assert own.timestamp.endswith("Z")


@pytest.mark.promise("P-FORGED-1")
async def test_what_the_server_did_not_republish_is_not_shown(mesh: Mesh) -> None:
    live = "live.chat.x.message"
    forged = {
        "Nats-Stream": "RECORDS",
        "Nats-Subject": "chat.x.message",
        "Nats-Sequence": "9",
        "Nats-Time-Stamp": "2026-01-01T00:00:00Z",
        "Nats-Last-Sequence": "0",
    }
    async with mesh.subscribe("chat.x.>", ">") as feed:
        connection = mesh.connection
        # A publish that looks like a republished message, but has a reply, another subject, or another stream.
        connection.publish(live, b'{"forged":1}', header_block(forged), reply=b"x")
        connection.publish(live, b'{"forged":2}', header_block({**forged, "Nats-Subject": "chat.y.message"}))
        connection.publish(live, b'{"forged":3}', header_block({**forged, "Nats-Stream": "SIGNALS"}))
        connection.publish(live, b'{"forged":4}', header_block({**forged, "Nats-Sequence": "nine"}))
        connection.publish(live, b'{"forged":5}')
        # A stored message that carries forged headers, and is asked for with a reply to a live subject.
        await connection.client.jetstream().publish("agent.me.activity", b'{"forged":6}', headers=forged)
        (mine,) = await events(feed, 1)
        assert mine.subject == "agent.me.activity"
        for request in (
            {"last_by_subj": "agent.me.activity"},
            {"seq": 1, "next_by_subj": "agent.me.activity", "batch": 1},
            {"multi_last": ["agent.me.activity"]},
        ):
            connection.publish("$JS.API.DIRECT.GET.SIGNALS", msgspec.json.encode(request), reply=live.encode())
        # An acknowledgement, and an answer of the API.
        connection.publish("agent.me.status", b"{}", header_block(forged), reply=live.encode())
        connection.publish("$JS.API.STREAM.MSG.GET.SIGNALS", b'{"seq":2}', reply=live.encode())
        await connection.flush()
        ack = await mesh.publish("chat.x.message", {"genuine": 1})
        found = await events(feed, 2)
        assert [event.subject for event in found] == ["agent.me.status", "chat.x.message"]
        assert found[1].cursor == ack.cursor


async def test_what_is_no_subject_is_an_error_and_no_end(mesh: Mesh, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL):
        for subject in (
            "chat",
            "chat.s1",
            "chat.s1.",
            "chat.s1.Message",
            ".",
            "chat..message",
            "$JS.API.x",
            "chat.s1.message\r\n",
        ):
            with pytest.raises(MeshError):
                await mesh.publish(subject, {})
    assert mesh.connection.connects == 1


# -- finding NATS ---------------------------------------------------------------------------------------------------


async def test_connect_looks_where_it_is_told(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MESH_NATS_URL", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "nats" / "context").mkdir(parents=True)
    (tmp_path / "nats" / "context" / "ops.json").write_text(f'{{"url":"{nats_server.url}"}}')
    async with running(nats_server.url):
        async with Mesh.connect(nats_server.url, name="mine") as mesh:
            await mesh.chat("s1").send("hi", sender="user")
        monkeypatch.setenv("MESH_NATS_CONTEXT", "ops")
        async with Mesh.connect() as mesh:
            assert [event.source for event in await mesh.chat("s1").history()] == ["mine"]
        monkeypatch.setenv("MESH_NATS_URL", "nats://127.0.0.1:1")
        with pytest.raises(MeshUnavailable, match=r"127\.0\.0\.1:1 "):
            async with Mesh.connect(wait_s=0.3):
                pass


async def test_the_second_of_two_servers_will_do(nats_server: NatsServer) -> None:
    async with within(10), mesh_at(f"nats://127.0.0.1:1,{nats_server.url}") as mesh, mesh.subscribe("chat.>") as feed:
        await mesh.chat("s1").send("hi", sender="user")
        assert await take(feed, 1)
