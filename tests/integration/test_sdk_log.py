"""Provisioning and the log, against a real nats-server."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from daena_mesh import codec, replay
from daena_mesh.connection import Reply
from daena_mesh.embedded import NatsServer
from daena_mesh.errors import (
    Conflict,
    DeletedSession,
    InvalidCursor,
    InvalidEvent,
    MeshUnavailable,
    NotCovered,
    ProvisioningError,
    UnknownSession,
)
from daena_mesh.feed import Gap
from daena_mesh.ids import dedup_id, uuid7
from daena_mesh.layout import RECORDS, SIGNALS, Layout
from daena_mesh.log import Ack
from daena_mesh.mesh import Mesh
from daena_mesh.provisioning import provision, wanted_streams
from daena_mesh.replays import FEWEST
from daena_mesh.sessions import SessionStore
from daena_mesh.settings import MeshSettings
from tests.support.connections import connected, stream_api
from tests.support.deadlines import eventually, within
from tests.support.meshes import contents, events, mesh_at, running, take

LONG_ENOUGH_S = 3.0
"""To find out, on any machine, why a mesh is not there; it is told only when the time is over."""


async def append(mesh: Mesh, subject: str, event_id: str, **more: Any) -> Ack:
    body = codec.encode("x.y", {"n": event_id}, event_id=event_id, timestamp="")
    return await mesh.log.append(subject, body, event_id=event_id, msg_id=dedup_id(subject, event_id), **more)


# -- provisioning ---------------------------------------------------------------------------------------------------


async def test_provisioning_is_idempotent_and_keeps_the_epochs(
    nats_server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(nats_server.url) as mesh:
        epochs = dict(mesh.log.epochs)
        assert {epoch.seq for epoch in epochs.values()} == {1}
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="daena_mesh.provisioning"):
            await asyncio.gather(*(provision(mesh.connection, mesh.layout, mesh.settings) for _ in range(5)))
        assert not caplog.records, "nothing was created or upgraded again"
        await mesh.log.learn_epochs()
        assert mesh.log.epochs == epochs
        assert await mesh.log.bounds(RECORDS) == (1, 1)
    async with running(nats_server.url) as again:
        assert again.log.epochs == epochs


async def test_several_that_start_at_once_agree_on_one_epoch(nats_server: NatsServer) -> None:
    meshes = [mesh_at(nats_server.url) for _ in range(5)]
    try:
        await asyncio.gather(*(mesh.__aenter__() for mesh in meshes))
        assert len({frozenset(mesh.log.epochs.items()) for mesh in meshes}) == 1
    finally:
        await asyncio.gather(*(mesh.close() for mesh in meshes))


async def test_an_older_configuration_is_upgraded_and_keeps_its_messages(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as mesh:
        await mesh.chat("s1").send("kept", sender="user")
        older = next(c for c in wanted_streams(mesh.layout, mesh.settings) if c["name"] == RECORDS)
        older["subjects"] = ["chat.*.message", "mesh.epoch.RECORDS"]
        older["duplicate_window"] = 60_000_000_000
        del older["republish"]
        assert "error" not in await stream_api(mesh.connection, "UPDATE.RECORDS", older)
        epoch = mesh.log.epochs[RECORDS]
    async with running(nats_server.url, subjects="chat.reaction=RECORDS") as mesh:
        assert mesh.log.epochs[RECORDS] == epoch
        async with mesh.subscribe("chat.s1.>") as feed:
            await mesh.publish("chat.s1.reaction", {"emoji": "+1"})
            assert (await events(feed, 1))[0].event_type == "chat.reaction"
        assert [event.payload["content"] for event in await mesh.chat("s1").history()] == ["kept"]


async def test_a_stream_of_signals_from_before_there_was_a_stop_learns_of_it(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as mesh:
        older = next(c for c in wanted_streams(mesh.layout, mesh.settings) if c["name"] == SIGNALS)
        older["subjects"] = [subject for subject in older["subjects"] if ".stop" not in subject]
        assert "error" not in await stream_api(mesh.connection, "UPDATE.SIGNALS", older)
        kept = await mesh.publish("chat.s1.delta", {"text": "kept"})
        refused = await mesh.connection.request("chat.s1.stop", b"{}", timeout_s=5)
        assert refused.headers.startswith(b"NATS/1.0 503"), "nobody takes it"
    async with running(nats_server.url) as mesh, mesh.subscribe("chat.s1.>") as feed:
        assert (await mesh.log.get(SIGNALS, kept.seq)) is not None
        stopped = await mesh.publish("chat.s1.stop", {"session_id": "s1"})
        assert (stopped.seq, stopped.cursor[:7]) == (kept.seq + 1, kept.cursor[:7])
        assert (await events(feed, 1))[0].event_type == "chat.stop"
        stored = await mesh.log.get(SIGNALS, stopped.seq)
        assert stored is not None
        assert b"Nats-TTL: 60" in stored.headers


@pytest.mark.parametrize(
    ("change", "named"),
    [({"storage": "memory"}, "storage 'memory'"), ({"retention": "interest"}, "retention 'interest'")],
)
async def test_a_foreign_stream_is_refused_by_what_is_wrong(
    nats_server: NatsServer, change: dict[str, Any], named: str
) -> None:
    foreign = {"name": RECORDS, "subjects": ["mine.>"], "storage": "file", "retention": "limits", **change}
    async with connected(nats_server.url) as connection:
        assert "error" not in await stream_api(connection, "CREATE.RECORDS", foreign)
        with pytest.raises(ProvisioningError, match=f"stream RECORDS has {named}.*nats stream backup RECORDS"):
            await provision(connection, Layout(), MeshSettings())
    with pytest.raises(MeshUnavailable, match=f"stream RECORDS has {named}"):
        async with running(nats_server.url, wait_s=LONG_ENOUGH_S):
            pass


async def test_subjects_that_somebody_else_has_are_refused(nats_server: NatsServer) -> None:
    async with connected(nats_server.url) as connection:
        foreign = {"name": "MINE", "subjects": ["chat.>"], "storage": "file", "retention": "limits"}
        assert "error" not in await stream_api(connection, "CREATE.MINE", foreign)
        with pytest.raises(ProvisioningError, match="refuses stream RECORDS: subjects overlap"):
            await provision(connection, Layout(), MeshSettings())


async def test_without_streams_a_mesh_says_who_makes_them(nats_server: NatsServer) -> None:
    with pytest.raises(MeshUnavailable, match="not provisioned yet; `mesh api` or `mesh up` does that"):
        async with mesh_at(nats_server.url, wait_s=LONG_ENOUGH_S, provisions=False):
            pass


async def test_a_deleted_stream_is_made_anew_and_told_as_a_reset(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as mesh, mesh.subscribe("chat.s1.>") as feed:
        before = await mesh.chat("s1").send("before", sender="user")
        assert await contents(feed, 1) == ["before"]
        assert (await stream_api(mesh.connection, "DELETE.RECORDS", {}))["success"]
        (gap,) = await take(feed, 1)
        assert isinstance(gap, Gap)
        assert (gap.before, gap.reason) == (before.cursor, "reset")
        await eventually(lambda: mesh.connection.state == "connected")
        after = await mesh.chat("s1").send("after", sender="user")
        assert after.cursor.split("-")[0] != before.cursor.split("-")[0]
        assert await contents(feed, 1) == ["after"]


# -- appending ------------------------------------------------------------------------------------------------------


@pytest.mark.promise("P-ONCE-1")
@pytest.mark.promise("P-ONCE-1")
async def test_the_same_id_is_stored_once_for_each_subject(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as mesh:
        first = await mesh.publish("chat.s1.message", {"n": 1}, event_id="c1")
        again = await mesh.publish("chat.s1.message", {"n": 2}, event_id="c1")
        other = await mesh.publish("chat.s2.message", {"n": 3}, event_id="c1")
        assert (again.cursor, again.duplicate, again.id) == (first.cursor, True, "c1")
        assert (other.seq, other.duplicate) == (first.seq + 1, False)


@pytest.mark.promise("P-SESSION-1")
async def test_of_a_hundred_writers_exactly_one_wins_each_round(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as mesh:
        last = 0
        for turn in range(3):
            outcomes = await asyncio.gather(
                *(
                    append(mesh, "session.s1.updated", f"{turn}-{i}", expect_last=("session.s1.>", last))
                    for i in range(100)
                ),
                return_exceptions=True,
            )
            won = [outcome for outcome in outcomes if isinstance(outcome, Ack)]
            lost = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
            assert (len(won), len(lost)) == (1, 99)
            last = won[0].seq
        assert await mesh.log.head(RECORDS, ["session.s1.>"]) == last


@pytest.mark.promise("P-COVER-1")
async def test_what_cannot_be_stored_is_refused_before_it_is_sent(nats_server: NatsServer) -> None:
    async with running(nats_server.url, max_body_bytes=1_000) as mesh:
        with pytest.raises(NotCovered, match="MESH_SUBJECTS"):
            await mesh.publish("project.p.update", {})
        with pytest.raises(NotCovered, match="MESH_SUBJECTS"):
            mesh.subscribe("project.>")
        with pytest.raises(InvalidEvent, match="1000 are allowed"):
            await mesh.publish("chat.s1.message", {"content": "x" * 1_000})
        assert await mesh.log.bounds(RECORDS) == (1, 1)


async def test_another_who_answers_on_the_subject_is_not_taken_for_the_stream(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as mesh:
        client = mesh.connection.client

        async def answer(message: Any) -> None:
            await message.respond(b"hello")

        await client.subscribe("chat.s1.>", cb=answer)
        await client.flush()
        for i in range(20):
            ack = await append(mesh, "chat.s1.message", str(i))
            assert ack.seq == 2 + i
        assert await mesh.log.bounds(RECORDS) == (1, 21)


async def test_typing_expires_by_itself_and_messages_do_not(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as mesh:
        kept = await mesh.publish("agent.a.status", {"status": "online"})
        for event_type in ("typing", "delta"):
            ack = await mesh.publish(f"chat.s1.{event_type}", {"n": 1})
            stored = await mesh.log.get(SIGNALS, ack.seq)
            assert stored is not None
            assert b"Nats-TTL: " in stored.headers
        short = await append(mesh, "chat.s1.typing", "short", ttl_s=1)

        async def is_gone() -> bool:
            return await mesh.log.get(SIGNALS, short.seq) is None

        await eventually(is_gone)
        assert await mesh.log.get(SIGNALS, kept.seq) is not None
        async with mesh.subscribe("agent.>", "chat.s1.>", since=str(mesh.log.position(SIGNALS, 1))) as feed:
            found = await events(feed, 3)
        assert [event.event_type for event in found] == ["agent.status", "chat.typing", "chat.delta"]


# -- reading --------------------------------------------------------------------------------------------------------


async def test_heads_and_batches(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as mesh:
        log = mesh.log
        assert await log.head(RECORDS, ["chat.>"]) == 0
        assert await log.batch(RECORDS, "chat.>", 0) == ([], 0)
        acks = [await append(mesh, f"chat.s{i % 2}.message", str(i)) for i in range(10)]
        assert await log.head(RECORDS, ["chat.s0.>"]) == acks[8].seq
        assert await log.head(RECORDS, ["chat.s0.>", "chat.s1.message", "council.>"]) == acks[9].seq
        messages, pending = await log.batch(RECORDS, "chat.s1.>", acks[1].seq, most=3)
        assert [message.seq for message in messages] == [acks[i].seq for i in (3, 5, 7)]
        assert pending == 1
        messages, pending = await log.batch(RECORDS, "chat.>", 0, most_bytes=300)
        assert 0 < len(messages) < 10
        assert pending == 10 - len(messages)
        assert await log.get(RECORDS, 999) is None
        newest = await replay.newest(log, RECORDS, ["chat.s0.>", "chat.s1.>"], 4)
        assert [message.seq for message in newest] == [ack.seq for ack in acks[6:]]
        overlapping = await replay.newest(log, RECORDS, ["chat.s0.>", "chat.*.message"], 4)
        assert [message.seq for message in overlapping] == [ack.seq for ack in acks[6:]]
        assert await replay.newest(log, RECORDS, ["chat.>"], 0) == []


async def test_history_is_paged_back_to_the_beginning(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as mesh:
        chat = mesh.chat("s1")
        for i in range(25):
            await chat.send(str(i), sender="user")
            await mesh.chat("other").send("noise", sender="user")
        pages, before = [], None
        while page := await chat.history(10, before=before):
            pages.append([event.payload["content"] for event in page])
            before = page[0].cursor
        assert pages == [[str(i) for i in range(15, 25)], [str(i) for i in range(5, 15)], [str(i) for i in range(5)]]
        assert await chat.history(0) == []
        for cursor in ("x", "Rother-5", str(mesh.log.position(SIGNALS, 5))):
            with pytest.raises(InvalidCursor):
                await chat.history(before=cursor)


@pytest.mark.promise("P-GAP-1")
@pytest.mark.parametrize("whole", [True, False])
async def test_what_a_limit_of_size_took_is_told_and_the_epoch_survives(nats_server: NatsServer, whole: bool) -> None:
    async with running(nats_server.url, records_max_bytes=60_000) as mesh:
        chat = mesh.chat("s1")
        first = await chat.send("first", sender="user")
        acks = [await chat.send(f"{i} {'x' * 100}", sender="user") for i in range(300)]
        assert (await mesh.log.bounds(RECORDS))[0] > first.seq
        epoch = mesh.log.epochs[RECORDS].name

        async def is_tended() -> bool:
            """Whether the marker is there, and so far from the beginning that it is not written once more."""
            marker = await mesh.log.last(RECORDS, "mesh.epoch.RECORDS")
            return marker is not None and 2 * marker.seq >= sum(await mesh.log.bounds(RECORDS))

        await eventually(is_tended)
        await mesh.log.learn_epochs()
        assert mesh.log.epochs[RECORDS].name == epoch
        assert mesh.connection.state == "connected"
        lowest = (await mesh.log.bounds(RECORDS))[0]
        kept = [ack.cursor for ack in acks if ack.seq >= lowest]  # a marker may lie anywhere among them
        async with mesh.subscribe(">" if whole else "chat.s1.>", since=first.cursor) as feed:
            items = await take(feed, 1 + len(kept))
        gap, rest = items[0], items[1:]
        assert isinstance(gap, Gap)
        assert (gap.before, gap.after, gap.reason) == (first.cursor, f"R{epoch}-{lowest - 1}", "expired")
        assert [item.cursor for item in rest if not isinstance(item, Gap)] == kept


@pytest.mark.promise("P-GAP-1")
async def test_a_position_past_the_end_or_of_another_life_is_a_reset(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as mesh:
        ack = await mesh.chat("s1").send("here", sender="user")
        for since in (f"{ack.cursor}9", "Rother1-1"):
            async with mesh.subscribe("chat.s1.message", since=since) as feed:
                (gap,) = await take(feed, 1)
                assert isinstance(gap, Gap)
                assert (gap.before, gap.reason) == (since, "reset")


@pytest.mark.promise("P-HEAL-1")
async def test_who_wants_what_only_another_life_of_a_stream_had_hides_nothing_from_others(
    nats_server: NatsServer,
) -> None:
    async with running(nats_server.url) as mesh:

        async def read(session: str, after: int, reach: int) -> list[int]:
            patterns = {RECORDS: (f"chat.{session}.>",)}
            chunk = await mesh.log.replays.read(patterns, {RECORDS: after}, reach={RECORDS: reach})
            return [message.seq for message in chunk.messages]

        sessions = [f"s{n}" for n in range(FEWEST)]
        first = [await mesh.chat(session).send("first", sender="user") for session in sessions]
        last = first[-1].seq
        together = await asyncio.gather(
            *(read(session, 0, last) for session in sessions), read("s0", 0, last + 50), return_exceptions=True
        )
        assert isinstance(together[-1], MeshUnavailable), "in this life it is not known yet what will be there"
        await asyncio.gather(*(read(session, 0, last) for session in sessions))
        later = await mesh.chat("s0").send("later", sender="user")
        assert await read("s0", last, later.seq) == [later.seq]


# -- sessions -------------------------------------------------------------------------------------------------------


async def test_a_session_from_its_beginning_to_its_end(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as mesh:
        store = SessionStore(mesh)
        with pytest.raises(UnknownSession, match="'s1'"):
            await store.update("s1", {"title": "x"})
        created = await store.create("s1", title="One", category="work", scope_type="agent", scope_id="a1")
        again = await store.create("s1", title="Two")
        assert (again.id, again.cursor, again.duplicate) == (created.id, created.cursor, True)
        state = await store.read("s1")
        assert state.seq == created.seq
        assert state.session is not None
        assert (state.session.title, state.session.scope_id) == ("One", "a1")
        wrong: list[dict[str, Any]] = [{"session_id": "s2"}, {"title": 5}, {"unknown": 1}, {"metadata": []}]
        for updates in wrong:
            with pytest.raises(InvalidEvent):
                await store.update("s1", updates)
        updated = await store.update("s1", {"title": "Three", "metadata": {"a": 1}}, expect=created.seq)
        with pytest.raises(Conflict):
            await store.update("s1", {"title": "Four"}, expect=created.seq)
        session = (await store.read("s1")).session
        assert session is not None
        assert (session.title, session.category, session.metadata) == ("Three", "work", {"a": 1})
        assert session.created_at <= session.updated_at
        await store.delete("s1", expect=updated.seq)
        for gone in (store.read("s1"), store.update("s1", {}), store.delete("s1"), store.create("s1", title="x")):
            with pytest.raises(DeletedSession):
                await gone


@pytest.mark.promise("P-SESSION-1")
async def test_concurrent_updates_all_come_through(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as mesh:
        store = SessionStore(mesh)
        await store.create("s1", title="One")
        acks = await asyncio.gather(*(store.update("s1", {"metadata": {"n": i}}) for i in range(30)))
        assert len({ack.seq for ack in acks}) == 30
        assert (await store.read("s1")).seq == max(ack.seq for ack in acks)


async def test_who_waits_for_an_answer_is_told_of_the_end_at_once(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as mesh:
        replies: list[Reply | None] = []
        mesh.connection.subscribe("silent", lambda *_message: None)
        await mesh.connection.flush()
        mesh.connection.ask("silent", b"", replies.append)
        waiting = asyncio.create_task(mesh.connection.request("silent", b"", timeout_s=60))
        await asyncio.sleep(0)
        async with within(5):
            await mesh.close()
            with pytest.raises(MeshUnavailable, match="closed"):
                await waiting
        assert replies == [None]
        with pytest.raises(MeshUnavailable, match="closed"):
            await mesh.publish("chat.s1.message", {})
        with pytest.raises(MeshUnavailable, match="closed"):
            await mesh.publish("agent.a.status", {}, event_id=uuid7())
