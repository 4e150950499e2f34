"""What docs/protocol.md shows is what a real edge says: the same story once more, up to names and times."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from daena_mesh.embedded import NatsServer
from daena_mesh.sessions import SessionStore
from tests.support.cutting_proxy import CuttingProxy
from tests.support.deadlines import eventually, within
from tests.support.edge import provisioned_mesh, running_edge
from tests.support.markdown import blocks
from tests.support.stranger import Stranger
from tests.support.tracked import ROOT

DOCUMENT = ROOT / "docs" / "protocol.md"
_VARY = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
    (r'"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"', '"<time>"'),
    (r'"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"', '"<time of storing>"'),
    (r'"socket_id":"[0-9a-f]{16}"', '"socket_id":"<id>"'),
    (r'"after_ms":\d+', '"after_ms":<ms>'),
    (r"\b([RS])[a-z0-9]{6}-", r"\1<epoch>-"),
)


def told_alike(frame: str) -> str:
    """Give a frame without what differs from one mesh to the next."""
    for pattern, placeholder in _VARY:
        frame = re.sub(pattern, placeholder, frame)
    return frame


def shown(title: str) -> list[str]:
    """Give the frames under a heading of the document."""
    section = DOCUMENT.read_text(encoding="utf-8").split(f"\n{title}\n")[1]
    section = re.split(r"^##+ ", section, maxsplit=1, flags=re.MULTILINE)[0]
    return [
        told_alike(line) for block in blocks(section) for line in block.code.splitlines() if block.language == "json"
    ]


async def hear(socket: ClientConnection, count: int = 1) -> list[str]:
    async with within():
        return [told_alike(str(await socket.recv())) for _ in range(count)]


async def test_the_story_of_the_document_happens(tmp_path: Path) -> None:
    async with (
        await NatsServer.start(tmp_path, port=0) as nats,
        provisioned_mesh(nats.url) as mesh,
        running_edge(nats.url, edge_id="edge-4c1f0a", drain_s=0.2) as running,
    ):
        mesh.source = "api"
        await running.edge.mesh.connection.wait_ready(10)
        chat, url = mesh.chat("s1"), f"ws://127.0.0.1:{running.port}/ws/chat/s1"
        async with connect(url) as first:
            assert await hear(first) == shown("### `connection`")
            await SessionStore(mesh).create("s1", title="Tour")
            hello = await chat.send("Hello!", sender="ada")
            await chat.send("Is anyone there?", sender="ada")
            await hear(first, 3)
        (topic,) = running.edge.topics()
        await mesh.connection.request("chat.s1.message", b'{"sender":"scout","content":"I am."}', timeout_s=5)
        # Or it would be shown live, behind the greeting: it is stored, and may still be on its way to the edge.
        await eventually(lambda: topic.follower.chains["RECORDS"].seen == 5)

        async with connect(f"{url}?since={hello.cursor}", subprotocols=["mesh.v1"]) as second:  # type: ignore[list-item]
            assert second.subprotocol == "mesh.v1"
            conversation = await hear(second, 4)
            await chat.send("Good.", sender="ada")
            conversation += await hear(second)
            assert conversation == shown("## A conversation")
            await running.edge.manager.broadcast_to_group("chat_s1", {"text": "Back in a minute", "level": "info"})
            notice = await hear(second)
            assert [conversation[4], conversation[2], *notice] == shown("### Events")
            await second.send('{"type":"ping","timestamp":1795401600123}')
            await second.send('{"type":"sing"}')
            assert await hear(second, 2) == shown("### `pong`, `error`")
            sent, acknowledged, refused = shown("## Sending")
            await second.send(sent)
            assert set(await hear(second, 2)) >= {acknowledged}  # it is shown as an event too, before or after
            await second.send(sent.replace("chat.s1.message", "agent.scout.status").replace("7c1e", "7c1f"))
            assert await hear(second) == [refused]

        async with connect(f"{url}?since=Rzzzzzz-3") as third:
            assert await hear(third) == shown("### `gap`")
            await hear(third, 8)
            async with within():
                draining = asyncio.create_task(running.edge.drain())
                assert await hear(third) == shown("### `reconnect`")
                with pytest.raises(ConnectionClosed, match="1012"):
                    await third.recv()
                await draining


async def follow(client: Stranger, url: str, count: int, greeted: asyncio.Event) -> None:
    """Connect again and again until the client was told of ``count`` events."""
    while len(client.told) < count:
        with contextlib.suppress(OSError, EOFError, ConnectionClosed):
            async with connect(f"{url}?since={client.since}" if client.since else url) as socket:
                while len(client.told) < count and client.take(msgspec.json.decode(await socket.recv())) != "broken":
                    if client.base:
                        greeted.set()


@pytest.mark.promise("P-RESUME-1", "P-CHAIN-1")
async def test_the_algorithm_of_the_document_loses_nothing(tmp_path: Path) -> None:
    """Events on three subjects while the connection is cut ten times, at random."""
    count, client, greeted = 600, Stranger(), asyncio.Event()
    cuts = random.Random(7).sample(range(1, count), 10)
    async with (
        await NatsServer.start(tmp_path, port=0) as nats,
        provisioned_mesh(nats.url) as mesh,
        running_edge(nats.url) as running,
        CuttingProxy(running.port).running() as proxy,
        within(40),
    ):
        url = f"{proxy.url}/ws/chat/s1".replace("http", "ws", 1)
        following = asyncio.create_task(follow(client, url, count, greeted))
        await greeted.wait()
        for number in range(count):
            await mesh.publish(f"chat.s1.{('message', 'delta', 'message.ada')[number % 3]}", {"number": number})
            if number in cuts:
                proxy.cut()
        await following
    assert proxy.cuts >= 5
    assert sorted(frame["payload"]["number"] for frame in client.told) == list(range(count))
    for letter in "RS":
        own = [frame["payload"]["number"] for frame in client.told if frame["cursor"][0] == letter]
        assert own == sorted(own)
    assert client.gaps == []
