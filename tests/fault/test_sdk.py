"""The SDK while NATS dies, freezes, forgets, and loses messages."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daena_mesh.embedded import NatsServer
from daena_mesh.errors import MeshUnavailable
from daena_mesh.feed import Feed, Gap
from daena_mesh.mesh import Mesh
from tests.support.deadlines import eventually, within
from tests.support.meshes import contents, events, mesh_at, running, take
from tests.support.proxy import NatsProxy

MANY = 2_000
EXPECTED = [str(i) for i in range(MANY)]


async def send_many(mesh: Mesh, sent: list[str], count: int = MANY) -> None:
    """Say numbers one after the other, each once its predecessor is acknowledged."""
    for i in range(count):
        await mesh.chat("s1").send(str(i), sender="user")
        sent.append(str(i))


@contextlib.asynccontextmanager
async def sending(mesh: Mesh, count: int = MANY) -> AsyncIterator[list[str]]:
    """Say numbers while the block runs, and wait for the last of them."""
    sent: list[str] = []
    task = asyncio.create_task(send_many(mesh, sent, count))
    try:
        yield sent
        async with within(40):
            await task
    finally:
        task.cancel()


async def has(sent: list[str], count: int) -> None:
    await eventually(lambda: len(sent) >= count, within_s=30)


@pytest.mark.promise("P-STORE-1")
async def test_killed_and_started_again_everything_arrives_once_and_in_order(tmp_path: Path) -> None:
    server = await NatsServer.start(tmp_path, port=0)
    try:
        async with running(server.url) as mesh, running(server.url) as other:
            async with other.subscribe("chat.s1.message") as feed:
                states: list[str] = []
                other.connection.watch(states.append)
                async with sending(mesh) as sent:
                    for kill, done in enumerate((500, 1_200)):
                        await has(sent, done)
                        await eventually(lambda kill=kill: states.count("connected") == kill)  # type: ignore[misc]
                        server.kill()
                        await server.wait()
                        server = await NatsServer.start(tmp_path, port=server.port)
                assert await contents(feed, MANY, within_s=20) == EXPECTED
                assert states.count("degraded") == states.count("connected") == 2
            assert [e.payload["content"] for e in await mesh.chat("s1").history(MANY + 1)] == EXPECTED
    finally:
        await server.stop()


async def test_frozen_for_three_seconds_nothing_is_lost_or_doubled(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as mesh, running(nats_server.url) as other:
        async with other.subscribe("chat.s1.message") as feed:
            async with sending(mesh, 600) as sent:
                await has(sent, 200)
                os.kill(nats_server.pid, signal.SIGSTOP)
                try:
                    await asyncio.sleep(3)  # the fault's length, not a wait for its end
                finally:
                    os.kill(nats_server.pid, signal.SIGCONT)
            assert await contents(feed, 600, within_s=20) == EXPECTED[:600]
        assert len(await mesh.chat("s1").history(1_000)) == 600


@pytest.mark.promise("P-RESUME-1")
async def test_cut_ten_times_everything_arrives_once_and_in_order(nats_server: NatsServer) -> None:
    async with (
        NatsProxy.running(nats_server.port) as proxy,
        running(proxy.url) as mesh,
        running(proxy.url) as other,
        other.subscribe("chat.s1.>") as feed,
    ):
        async with sending(mesh) as sent:
            for cut in range(1, 11):
                await has(sent, cut * 180)
                await eventually(lambda cut=cut: other.connection.connects >= cut)  # type: ignore[misc]
                proxy.cut()
        assert await contents(feed, MANY, within_s=20) == EXPECTED
        assert min(mesh.connection.connects, other.connection.connects) >= 5
        assert len(await mesh.chat("s1").history(MANY + 1)) == MANY


@pytest.mark.promise("P-HEAL-1")
@pytest.mark.parametrize("pattern", ["chat.s1.message", "chat.>", ">"])
async def test_lost_live_messages_are_healed_before_anything_later(nats_server: NatsServer, pattern: str) -> None:
    chance = random.Random(7)
    async with (
        NatsProxy.running(nats_server.port) as proxy,
        running(nats_server.url) as mesh,
        running(proxy.url) as other,
        other.subscribe(pattern) as feed,
    ):
        proxy.loses = lambda subject: subject.startswith(b"live.") and chance.random() < 0.2
        async with sending(mesh, 1_000) as sent:
            await has(sent, 900)
        proxy.loses = None
        await mesh.chat("s1").send("last", sender="user")
        assert await contents(feed, 1_001, within_s=20) == [*EXPECTED[:1_000], "last"]
        assert proxy.lost > 50
        assert other.connection.connects == 1


@pytest.mark.promise("P-ORDER-1")
async def test_healing_one_subject_hides_no_loss_on_another(nats_server: NatsServer) -> None:
    chance = random.Random(11)
    authors = ("ada", "bob", "eve", "kim", "max")
    async with (
        NatsProxy.running(nats_server.port) as proxy,
        running(nats_server.url) as mesh,
        running(proxy.url) as other,
        other.subscribe("chat.s1.>") as feed,
    ):
        proxy.loses = lambda subject: subject.startswith(b"live.") and chance.random() < 0.3
        said: dict[str, list[int]] = {author: [] for author in authors}
        for n in range(800):
            author = chance.choice(authors)
            said[author].append(n)
            await mesh.publish(f"chat.s1.message.{author}", {"n": n})
            if n % 200 == 150:
                proxy.cut()
        proxy.loses = None

        async def everything_arrived() -> bool:
            with contextlib.suppress(MeshUnavailable):
                await feed._queue.follower.audit()  # does nothing while it heals, so once is not enough
            return len(feed._queue.items) >= 800

        await eventually(everything_arrived, within_s=20)
        heard: dict[str, list[int]] = {author: [] for author in authors}
        for event in await events(feed, 800):
            heard[event.subject.rpartition(".")[2]].append(event.payload["n"])
        assert heard == said


async def test_a_loss_that_nothing_later_reveals_is_found_by_the_audit(nats_server: NatsServer) -> None:
    async with (
        NatsProxy.running(nats_server.port) as proxy,
        running(nats_server.url) as mesh,
        running(proxy.url) as other,
        other.subscribe("chat.s1.>") as feed,
    ):
        proxy.loses = lambda subject: subject.startswith(b"live.")
        await mesh.chat("s1").send("lost", sender="user")
        await eventually(lambda: proxy.lost)
        await feed._queue.follower.audit()
        assert await contents(feed, 1) == ["lost"]


async def test_the_audit_finds_what_one_subject_lost_while_others_went_on(nats_server: NatsServer) -> None:
    async with (
        NatsProxy.running(nats_server.port) as proxy,
        running(nats_server.url) as mesh,
        running(proxy.url) as other,
        other.subscribe("chat.s1.>", "agent.a.>") as feed,
    ):
        follower = feed._queue.follower
        for n in range(3):
            proxy.loses = lambda subject: subject == b"live.chat.s1.message.ada"
            await mesh.publish("chat.s1.message.ada", {"content": f"lost {n}"})
            await eventually(lambda n=n: proxy.lost > n)  # type: ignore[misc]
            await mesh.publish("chat.s1.message.bob", {"content": f"seen {n}"})
            assert await contents(feed, 1) == [f"seen {n}"]
            await follower.audit()
            assert await contents(feed, 1) == [f"lost {n}"]
        await eventually(lambda: not follower.is_healing)
        await follower.audit()
        assert follower.chains["RECORDS"].verified == follower.chains["RECORDS"].seen
        await follower.audit()
        assert not follower.is_healing
        assert not feed._queue.items


async def test_what_one_subject_lost_is_found_after_a_reconnect_too(nats_server: NatsServer) -> None:
    async with (
        NatsProxy.running(nats_server.port) as proxy,
        running(nats_server.url) as mesh,
        running(proxy.url) as other,
        other.subscribe("chat.s1.>") as feed,
    ):
        proxy.loses = lambda subject: subject == b"live.chat.s1.message.ada"
        await mesh.publish("chat.s1.message.ada", {"content": "lost"})
        await mesh.publish("chat.s1.message.bob", {"content": "seen"})
        assert await contents(feed, 1) == ["seen"]
        proxy.accepts = False
        proxy.cut()
        await mesh.publish("chat.s1.message.ada", {"content": "meanwhile"})
        proxy.accepts = True
        assert sorted(await contents(feed, 2)) == ["lost", "meanwhile"]


async def test_a_black_hole_is_noticed_and_healed(nats_server: NatsServer) -> None:
    async with (
        NatsProxy.running(nats_server.port) as proxy,
        running(nats_server.url) as mesh,
        running(proxy.url) as other,
        other.subscribe("chat.s1.message") as feed,
    ):
        proxy.freeze()
        await mesh.chat("s1").send("meanwhile", sender="user")
        assert await contents(feed, 1, within_s=15) == ["meanwhile"]
        assert other.connection.connects == 2


@pytest.mark.promise("P-GAP-1")
async def test_a_stream_that_was_lost_over_a_restart_is_told_as_a_reset(tmp_path: Path) -> None:
    server = await NatsServer.start(tmp_path, port=0)
    try:
        async with running(server.url) as mesh, running(server.url) as other:
            async with other.subscribe("chat.s1.message", "agent.a.>") as feed:
                await mesh.chat("s1").send("kept", sender="user")
                lost = await mesh.publish("agent.a.status", {"status": "online"})
                await events(feed, 2)
                await server.stop()
                (stream,) = tmp_path.rglob("streams/SIGNALS")
                shutil.rmtree(stream)
                server = await NatsServer.start(tmp_path, port=server.port)
                (gap,) = await take(feed, 1)
                assert isinstance(gap, Gap)
                assert (gap.before, gap.reason) == (lost.cursor, "reset")
                await eventually(lambda: mesh.connection.state == "connected")
                await mesh.chat("s1").send("after", sender="user")
                again = await mesh.publish("agent.a.status", {"status": "busy"})
                assert {event.event_type for event in await events(feed, 2)} == {"chat.message", "agent.status"}
                assert again.cursor.partition("-")[0] != lost.cursor.partition("-")[0]
            assert [e.payload["content"] for e in await mesh.chat("s1").history()] == ["kept", "after"]
    finally:
        await server.stop()


async def test_a_stream_made_anew_while_connected_is_noticed_by_who_only_reads(nats_server: NatsServer) -> None:
    async with (
        running(nats_server.url) as mesh,
        mesh_at(nats_server.url, provisions=False) as reader,
        reader.subscribe("agent.a.>") as feed,
    ):
        before = [await mesh.publish("agent.a.activity", {"n": n}) for n in range(5)]
        await events(feed, 5)
        await mesh.connection.client.jetstream().delete_stream("SIGNALS")
        (gap,) = await take(feed, 1)
        assert isinstance(gap, Gap)
        assert (gap.before, gap.reason) == (before[-1].cursor, "reset")
        await eventually(lambda: mesh.connection.state == reader.connection.state == "connected")
        after = await mesh.publish("agent.a.activity", {"n": 5})
        assert after.seq <= before[0].seq
        assert [event.payload["n"] for event in await events(feed, 1)] == [5]


@pytest.mark.promise("P-SIGNAL-1")
async def test_without_nats_a_record_is_refused_in_time_and_signals_wait(tmp_path: Path) -> None:
    first = await NatsServer.start(tmp_path, port=0)
    await first.stop()
    mesh = mesh_at(first.url, wait_s=0.3)
    mesh._outbox._most = 10
    mesh.start()
    try:
        async with within(2):
            with pytest.raises(MeshUnavailable, match=f":{first.port} is not reachable") as told:
                await mesh.chat("s1").send("refused", sender="user")
        assert told.value.retry_after_s > 0
        for n in range(15):
            ack = await mesh.publish("agent.a.activity", {"n": n})
            assert ack.id
            assert ack.cursor == ""
        assert mesh.signals_dropped == 5
        async with await NatsServer.start(tmp_path, port=first.port) as server, running(server.url) as other:
            since = str(other.log.position("SIGNALS", 1))
            async with other.subscribe("agent.a.>", since=since) as feed:
                await eventually(lambda: not len(mesh._outbox))
                kept = [event.payload["n"] for event in await events(feed, 15 - mesh.signals_dropped)]
                assert kept == sorted(set(kept))
                assert kept[-10:] == list(range(5, 15))
                assert (await mesh.publish("agent.a.activity", {"n": 15})).cursor
                assert [event.payload["n"] for event in await events(feed, 1)] == [15]
            assert await other.chat("s1").history() == []
            assert mesh.signals_dropped in {4, 5}  # the one on its way may have arrived
    finally:
        await mesh.close()


async def test_signals_published_behind_waiting_ones_come_after_them(tmp_path: Path) -> None:
    first = await NatsServer.start(tmp_path, port=0)
    await first.stop()
    mesh = mesh_at(first.url)
    mesh.start()
    try:
        await mesh.connection.wait_tried(5)
        for n in range(200):
            await mesh.publish("task.t.update", {"n": n})
        async with await NatsServer.start(tmp_path, port=first.port) as server, running(server.url) as other:
            since = str(other.log.position("SIGNALS", 1))
            async with other.subscribe("task.>", since=since) as feed:
                await mesh.connection.wait_ready(5)
                for n in range(200, 300):
                    await mesh.publish("task.t.update", {"n": n})
                assert [event.payload["n"] for event in await events(feed, 300)] == list(range(300))
    finally:
        await mesh.close()


async def test_who_followed_before_nats_was_there_misses_nothing_after(tmp_path: Path) -> None:
    first = await NatsServer.start(tmp_path, port=0)
    async with running(first.url) as mesh:
        await mesh.chat("s1").send("old", sender="user")
    await first.stop()
    early = mesh_at(first.url)
    early.start()
    try:
        feeds = [early.subscribe("chat.s1.>") for _ in range(20)]
        await early.connection.wait_tried(5)
        async with await NatsServer.start(tmp_path, port=first.port) as server, running(server.url) as mesh:
            await asyncio.gather(*(feed.ready() for feed in feeds))
            await mesh.chat("s1").send("new", sender="user")
            assert [await contents(feed, 1) for feed in feeds] == [["new"]] * 20
    finally:
        await early.close()


async def test_who_begins_to_follow_a_frozen_server_is_shown_nothing_old(
    nats_server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(nats_server.url) as mesh:
        for i in range(5):
            await mesh.chat("s1").send(f"old {i}", sender="user")
        feeds: list[Feed] = []
        with caplog.at_level(logging.INFO, logger="daena_mesh.healing"):
            os.kill(nats_server.pid, signal.SIGSTOP)
            try:
                feeds.append(mesh.subscribe("chat.s1.message"))
                await eventually(lambda: "cannot be healed yet" in caplog.text)
            finally:
                os.kill(nats_server.pid, signal.SIGCONT)
        await feeds[0].ready(10)
        await mesh.chat("s1").send("new", sender="user")
        assert await contents(feeds[0], 1) == ["new"]
        assert str(feeds[0].positions)


async def test_watchers_are_told_and_a_closed_mesh_leaves_nothing_running(nats_server: NatsServer) -> None:
    async with NatsProxy.running(nats_server.port) as proxy:
        async with running(proxy.url) as mesh:
            states: list[str] = []

            def fail(state: Any) -> None:
                states.append(state)
                raise ValueError(state)

            mesh.connection.watch(fail)
            proxy.cut()
            await eventually(lambda: states == ["degraded", "connected"])
            assert (await mesh.chat("s1").send("hi", sender="user")).cursor
        assert states[-1] == "closed"
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert not [name for name in names if name.startswith(("heal", "watch", "keep", "tend", "test", "outbox"))]
