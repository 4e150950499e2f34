"""Messages that are written piece by piece, against a real nats-server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from daena_mesh import Event, InvalidEvent, Mesh, MeshError
from daena_mesh.embedded import NatsServer
from daena_mesh.feed import Feed
from tests.support.deadlines import eventually, within
from tests.support.meshes import events, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(shared_nats: NatsServer) -> AsyncIterator[Mesh]:
    async with running(shared_nats.url) as mesh:
        yield mesh


async def until_message(feed: Feed) -> tuple[list[Event], Event]:
    """Give the deltas that come, and the message after them."""
    deltas: list[Event] = []
    while True:
        (event,) = await events(feed, 1)
        if event.event_type == "chat.message":
            return deltas, event
        deltas.append(event)


async def stop(mesh: Mesh, session_id: str, **payload: Any) -> None:
    await mesh.publish(f"chat.{session_id}.stop", {"session_id": session_id, **payload})


@pytest.mark.promise("P-STREAM-1")
async def test_the_pieces_are_the_text_of_the_message_that_follows_them(mesh: Mesh) -> None:
    tokens = [f"token {i} \N{BLACK HEART SUIT}\n" for i in range(500)]
    async with mesh.subscribe("chat.pieces.>") as feed:
        async with mesh.chat("pieces").stream("daena", in_reply_to="q1", metadata={"model": "m"}) as out:
            for token in tokens:
                await out.write(token)
            assert out.ack is None
            out.metadata["tokens"] = 500
        deltas, message = await until_message(feed)
    text = "".join(tokens)
    assert out.text == text
    assert "".join(delta.payload["text"] for delta in deltas) == text
    assert [delta.payload["index"] for delta in deltas] == list(range(len(deltas)))
    assert {delta.payload["message_id"] for delta in deltas} == {out.message_id}
    assert len({delta.payload["run"] for delta in deltas}) == 1
    assert message.payload == {
        "session_id": "pieces",
        "sender": "daena",
        "content": text,
        "message_id": out.message_id,
        "metadata": {"model": "m", "in_reply_to": "q1", "tokens": 500},
    }
    assert message.id == out.message_id
    assert out.ack is not None
    assert (out.ack.cursor, out.ack.duplicate) == (message.cursor, False)


async def test_the_first_token_is_seen_while_the_block_goes_on(mesh: Mesh) -> None:
    async with mesh.subscribe("chat.first.delta") as feed, mesh.chat("first").stream("daena") as out:
        await out.write("Hel")
        (delta,) = await events(feed, 1)
        assert delta.typed.to_dict()["text"] == "Hel"


async def test_who_thinks_before_the_first_token_is_seen_to_do_so(mesh: Mesh) -> None:
    async with mesh.subscribe("chat.think.delta") as feed, mesh.chat("think").stream("daena") as out:
        (delta,) = await events(feed, 1)
        assert (delta.payload["index"], delta.payload["text"]) == (0, "")
        await out.write("ah")
        (delta,) = await events(feed, 1)
        assert (delta.payload["index"], delta.payload["text"]) == (1, "ah")


@pytest.mark.promise("P-STREAM-2")
async def test_a_block_that_raises_leaves_what_there_is_marked_incomplete(mesh: Mesh) -> None:
    out = mesh.chat("raises").stream("daena")

    async def fail() -> None:
        async with out:
            await out.write("so far")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    (message,) = await mesh.chat("raises").history()
    assert message.payload["content"] == "so far"
    assert message.payload["metadata"] == {"incomplete": True, "reason": "failed"}
    assert out.ack is not None
    with pytest.raises(MeshError, match="has ended"):
        await out.write("more")


@pytest.mark.promise("P-STREAM-2")
async def test_a_block_that_is_cancelled_leaves_what_there_is_marked_incomplete(mesh: Mesh) -> None:
    written = asyncio.Event()

    async def write() -> None:
        async with mesh.chat("cancelled").stream("daena") as out:
            await out.write("so far")
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (message,) = await mesh.chat("cancelled").history()
    assert message.payload["metadata"] == {"incomplete": True, "reason": "cancelled"}


@pytest.mark.promise("P-STREAM-3")
async def test_a_stop_ends_the_block_without_an_error(mesh: Mesh) -> None:
    reached = []
    async with within(), mesh.subscribe("chat.*.stop") as stops, mesh.chat("stop").stream("daena") as out:
        await out.write("so far")
        await stop(mesh, "stop", message_id="another's")
        await stop(mesh, "elsewhere")
        await events(stops, 2)
        await asyncio.sleep(0)
        await out.write(", and more")
        await stop(mesh, "stop", message_id=out.message_id)
        await asyncio.Event().wait()
        reached.append("the end of the block")
    task = asyncio.current_task()
    assert task is not None
    assert (reached, task.cancelling()) == ([], 0)
    (message,) = await mesh.chat("stop").history()
    assert message.payload["content"] == "so far, and more"
    assert message.payload["metadata"] == {"incomplete": True, "reason": "stopped"}


async def test_a_stop_for_the_session_ends_every_writer_in_it(mesh: Mesh) -> None:
    async def write(sender: str) -> None:
        async with mesh.chat("all").stream(sender) as out:
            await out.write(sender)
            await asyncio.Event().wait()

    async with within(), mesh.subscribe("chat.all.delta") as feed, asyncio.TaskGroup() as group:
        for sender in ("a", "b"):
            group.create_task(write(sender))
        await events(feed, 2)
        await stop(mesh, "all")
    assert sorted(message.payload["sender"] for message in await mesh.chat("all").history()) == ["a", "b"]


async def test_who_is_cancelled_by_others_too_stays_cancelled_after_a_stop(mesh: Mesh) -> None:
    async def write() -> None:
        async with mesh.chat("both").stream("daena") as out:
            await out.write("so far")
            await asyncio.Event().wait()

    async with within(), mesh.subscribe("chat.both.delta") as feed:
        task = asyncio.create_task(write())

        def cancel(
            _subject: bytes, _reply: bytes, _headers: bytes, _body: bytes, task: asyncio.Task[None] = task
        ) -> None:
            task.cancel()

        hearing = mesh.connection.subscribe("live.chat.both.stop", cancel)
        await events(feed, 1)
        await stop(mesh, "both")
        with pytest.raises(asyncio.CancelledError):
            await task
    mesh.connection.unsubscribe(hearing)
    assert task.cancelled()
    (message,) = await mesh.chat("both").history()
    assert message.payload["metadata"] == {"incomplete": True, "reason": "stopped"}


@pytest.mark.promise("P-STREAM-4")
async def test_a_text_that_fits_into_no_event_ends_in_an_error_and_keeps_what_fits(mesh: Mesh) -> None:
    token = "\N{BLACK HEART SUIT}\n\x00 "
    out = mesh.chat("long").stream("daena", metadata={"much": "x" * 1_000})

    async def write() -> None:
        async with out:
            while True:
                await out.write(token * 300)

    with pytest.raises(InvalidEvent, match="MESH_MAX_BODY_BYTES"):
        await write()
    (message,) = await mesh.chat("long").history()
    assert message.payload["content"] == out.text
    assert (token * 30_000).startswith(out.text)
    assert out.text
    assert message.payload["metadata"] == {"much": "x" * 1_000, "incomplete": True, "reason": "failed"}
    stored = await mesh.log.get("RECORDS", out.ack.seq if out.ack else 0)
    assert stored is not None
    assert mesh.settings.max_body_bytes - 32 < len(stored.body) <= mesh.settings.max_body_bytes


async def test_who_swallows_that_error_still_leaves_an_incomplete_message(mesh: Mesh) -> None:
    async with mesh.chat("swallowed").stream("daena") as out:
        for _ in range(3):
            with pytest.raises(InvalidEvent):
                await out.write("x" * 70_000)
    (message,) = await mesh.chat("swallowed").history()
    assert message.payload["content"] == out.text
    assert len(out.text) > 65_000
    assert message.payload["metadata"]["incomplete"] is True


@pytest.mark.parametrize("metadata", [{"huge": "x" * 70_000}, {"no JSON": object()}])
async def test_metadata_that_cannot_be_stored_does_not_take_the_text_with_it(
    mesh: Mesh, metadata: dict[str, Any]
) -> None:
    session_id = f"metadata-{len(metadata)}-{next(iter(metadata))[:2]}"

    async def write() -> None:
        async with mesh.chat(session_id).stream("daena", in_reply_to="q1") as out:
            await out.write("text")
            out.metadata.update(metadata)

    with pytest.raises(InvalidEvent):
        await write()
    (message,) = await mesh.chat(session_id).history()
    assert message.payload["content"] == "text"
    assert message.payload["metadata"] == {"in_reply_to": "q1", "incomplete": True, "reason": "failed"}


@pytest.mark.promise("P-STREAM-5")
async def test_of_several_writers_of_one_message_exactly_one_stores_it(mesh: Mesh) -> None:
    async def write(text: str) -> bool:
        async with mesh.chat("once").stream("daena", message_id="m1") as out:
            await out.write(text)
        assert out.ack is not None
        return out.ack.duplicate

    duplicates = await asyncio.gather(*(write(f"text {i}") for i in range(5)))
    assert sorted(duplicates) == [False, True, True, True, True]
    assert len(await mesh.chat("once").history()) == 1


async def test_who_abandons_leaves_no_message(mesh: Mesh) -> None:
    async with mesh.subscribe("chat.abandoned.delta") as feed:
        async with mesh.chat("abandoned").stream("daena", message_id="m1") as out:
            await out.write("first try")
            out.abandon()
        async with mesh.chat("abandoned").stream("daena", message_id="m1") as out:
            await out.write("second")
        first, second = await events(feed, 2)
    assert first.payload["run"] != second.payload["run"]
    assert second.payload["index"] == 0
    assert [message.payload["content"] for message in await mesh.chat("abandoned").history()] == ["second"]


async def test_an_author_writes_under_its_own_name_and_hears_every_stop(mesh: Mesh) -> None:
    async with (
        within(),
        Mesh.connect(mesh.settings.nats_url, author="scout") as own,
        mesh.subscribe("chat.author.>") as feed,
        own.chat("author").stream("scout") as out,
    ):
        await out.write("so far")
        (delta,) = await events(feed, 1)
        await mesh.publish("chat.author.stop.console", {"session_id": "author"})
        await asyncio.Event().wait()
    (message,) = await mesh.chat("author").history()
    assert (delta.subject, message.subject) == ("chat.author.delta.scout", "chat.author.message.scout")


async def test_nobody_writes_outside_of_a_block_and_nothing_stays_after_it(mesh: Mesh) -> None:
    before = len(mesh.connection._subjects)
    out = mesh.chat("outside").stream("daena")
    assert out.text == ""
    with pytest.raises(MeshError, match="not begun"):
        await out.write("x")
    async with out:
        pass
    await eventually(lambda: len(mesh.connection._subjects) == before)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "pieces of a text"]
