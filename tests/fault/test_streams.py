"""Messages that are written piece by piece, while viewers, writers, APIs and NATS come and go."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from daena_mesh import Event, Gap, MeshUnavailable
from daena_mesh.assembly import Assembly
from daena_mesh.embedded import NatsServer
from tests.support.api import SESSIONS, Api, running_api
from tests.support.deadlines import eventually, within
from tests.support.edge import RunningEdge, running_edge
from tests.support.meshes import events, mesh_at, running
from tests.support.ws_client import Frame, Ledger

HEART = "\N{BLACK HEART SUIT}"
TOKENS = [f" {i:x}{HEART if i % 7 == 0 else ''}" for i in range(5_000)]
TEXT = "".join(TOKENS)
PER_S = 200

WRITER = """
import asyncio, sys
from daena_mesh import Mesh

async def main():
    async with Mesh.connect(sys.argv[1]) as mesh, mesh.subscribe(f"chat.{sys.argv[2]}.delta") as feed:
        async with mesh.chat(sys.argv[2]).stream("daena", message_id="m1", in_reply_to="q1") as out:
            await out.write("so ")
            await out.write("far")
            stored = ""
            while stored != out.text:
                stored += (await anext(feed)).payload["text"]
            print("written", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            await out.write(", and more")
        print(out.ack.duplicate, out.ack.cursor, flush=True)

asyncio.run(main())
"""


class Viewer:
    """Somebody who reads a message while it is written, and whose connection is cut."""

    def __init__(self, api: Api, edges: list[RunningEdge], session_id: str, chance: random.Random) -> None:
        self.assembly = Assembly()
        self.message = ""
        self.came = 0
        self._api = api
        self._edges = edges
        self._session_id = session_id
        self._cuts = sorted(chance.sample(range(100, len(TEXT) - 100), 3), reverse=True)
        self._at = chance.randrange(len(edges))

    async def view(self) -> None:
        """Read until the message is there: come back after each cut, once of three with nothing in hand, elsewhere."""
        ledger, since = Ledger(), await self._open()
        while True:
            edge = self._edges[(self._at + self.came) % len(self._edges)]
            self.came += 1
            async with edge.connect(f"/ws/chat/{self._session_id}", ledger=ledger, since=since) as client:
                while not self._is_cut():
                    self._take(await client.frame(30))
                    if self.message:
                        return
                client.ws.transport.abort()
            since = ""
            if self.came == 2:
                self.assembly, ledger, since = Assembly(), Ledger(), await self._open()

    def _is_cut(self) -> bool:
        if self._cuts and len(self.assembly.text) > self._cuts[-1]:
            self._cuts.pop()
            return True
        return False

    def _take(self, frame: Frame) -> None:
        payload = frame["payload"]
        if frame["event_type"] == "chat.delta":
            assert self.assembly.take(payload["run"], payload["index"], payload["text"]), "a token came twice"
            assert self.assembly.is_whole, "a token is missing"
        elif frame["event_type"] == "chat.message" and payload["sender"] == "daena":
            self.message = payload["content"]

    async def _open(self) -> str:
        answer = (await self._api.client.get(f"{SESSIONS}/{self._session_id}")).json()
        return str(answer["since"])


@pytest.mark.promise("P-STREAM-1")
@pytest.mark.promise("P-STREAM-6")
async def test_ten_viewers_cut_three_times_each_end_with_the_identical_text(nats_server: NatsServer) -> None:
    chance = random.Random(5_000)
    async with (
        within(55),
        running_api(nats_server.url) as api,
        running_edge(nats_server.url) as one,
        running_edge(nats_server.url) as two,
        running(nats_server.url) as mesh,
    ):
        await mesh.chat("s1").send("Tell me everything.", sender="user")
        await eventually(lambda: api.context.projector.projection.has("s1"))
        viewers = [Viewer(api, [one, two], "s1", chance) for _ in range(10)]
        async with asyncio.TaskGroup() as group, mesh.chat("s1").stream("daena") as out:
            begun = time.monotonic()
            for i, token in enumerate(TOKENS):
                await out.write(token)
                await asyncio.sleep(max(0.0, begun + i / PER_S - time.monotonic()))
                if i % 100 == 0 and i // 100 < len(viewers):
                    group.create_task(viewers[i // 100].view())
            # Who comes back with nothing in hand is shown the pieces only while the message is being written.
            await eventually(lambda: all(viewer.came == 4 for viewer in viewers))
        assert out.text == TEXT
        for viewer in viewers:
            assert viewer.assembly.text == TEXT
            assert viewer.message == TEXT
            assert viewer.came == 4


@pytest.mark.promise("P-STREAM-7")
async def test_the_messages_of_a_killed_and_of_a_frozen_writer_end_once(nats_server: NatsServer) -> None:
    async with within(55), AsyncExitStack() as stack, running_api(nats_server.url) as stays:
        goes = await stack.enter_async_context(running_api(nats_server.url))
        async with (
            stays.mesh.subscribe("chat.*.message") as feed,
            writer(nats_server.url, "killed") as killed,
            writer(nats_server.url, "frozen") as frozen,
        ):
            killed.kill()
            os.kill(frozen.pid, signal.SIGSTOP)
            await eventually(lambda: len(list(goes.context.unfinished)) == 2)
            await stack.aclose()
            async with running_api(nats_server.url) as comes:
                found = {event.payload["session_id"]: event for event in await events(feed, 2, within_s=30)}
                for event in found.values():
                    assert event.payload["content"] == "so far"
                    assert event.payload["message_id"] == "m1"
                    metadata = {"incomplete": True, "reason": "lost", "in_reply_to": "q1"}
                    assert event.payload["metadata"] == metadata
                os.kill(frozen.pid, signal.SIGCONT)
                assert frozen.stdin is not None
                assert frozen.stdout is not None
                frozen.stdin.write(b"\n")
                assert (await frozen.stdout.readline()).decode().split() == ["True", found["frozen"].cursor]
                # Both look once more at what the frozen one added, and find that it has ended.
                for api in (stays, comes):
                    await eventually(lambda: not list(api.context.unfinished))  # noqa: B023 - it is awaited here
                assert stays.context.tender.ended + comes.context.tender.ended == 2
        for session_id in ("killed", "frozen"):
            assert len(await stays.mesh.chat(session_id).history()) == 1


async def test_while_nats_is_away_the_writer_goes_on_and_the_message_is_stored_after_it(tmp_path: Path) -> None:
    server = await NatsServer.start(tmp_path, port=0)
    assembly = Assembly()
    try:
        async with within(50), running(server.url) as mesh, running(server.url) as other:
            async with other.subscribe("chat.s1.>") as feed, mesh.chat("s1").stream("daena") as out:
                await out.write("before, ")
                await assembled(feed, assembly, "before, ")
                server.kill()
                await server.wait()
                await eventually(lambda: mesh.connection.state == "degraded")
                for i in range(3_000):
                    await out.write(f"{i} ")
                server = await NatsServer.start(tmp_path, port=server.port)
                await assembled(feed, assembly, out.text)
                await out.write("after")
                await assembled(feed, assembly, out.text)
            assert assembly.is_whole
            assert out.text == "before, " + "".join(f"{i} " for i in range(3_000)) + "after"
            (message,) = await other.chat("s1").history()
            assert message.payload["content"] == out.text
            assert mesh.signals_dropped == 0
    finally:
        await server.stop()


@pytest.mark.promise("P-STREAM-2")
async def test_where_nats_stays_away_the_end_says_so(nats_server: NatsServer) -> None:
    async with within(30), mesh_at(nats_server.url, wait_s=1) as mesh:

        async def write(error: Exception | None) -> None:
            async with mesh.chat("s1").stream("daena") as out:
                await out.write("lost")
                nats_server.kill()
                if error is not None:
                    raise error

        with pytest.raises(MeshUnavailable):
            await write(None)
        with pytest.raises(ZeroDivisionError):
            await write(ZeroDivisionError())


async def assembled(feed: AsyncIterator[Event | Gap], assembly: Assembly, text: str) -> None:
    """Read pieces until they make the text."""
    while not (assembly.text == text and assembly.is_whole):
        event = await anext(feed)
        if isinstance(event, Event) and event.event_type == "chat.delta":
            assembly.take(event.payload["run"], event.payload["index"], event.payload["text"])


@asynccontextmanager
async def writer(nats_url: str, session_id: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a process that has written something, and writes on when it is given a line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, nats_url, session_id, stdin=PIPE, stdout=PIPE
    )
    try:
        assert process.stdout is not None
        async with within(20):
            assert await process.stdout.readline() == b"written\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
