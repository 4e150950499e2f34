"""What docs/protocol.md shows is what a real edge says: the same story once more, up to names and times."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from daena_mesh.embedded import NatsServer
from daena_mesh.sessions import SessionStore
from tests.support.deadlines import within
from tests.support.edge import provisioned_mesh, running_edge
from tests.support.markdown import blocks
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
        chat, url = mesh.chat("s1"), f"ws://127.0.0.1:{running.port}/ws/chat/s1"
        async with connect(url) as first:
            assert await hear(first) == shown("### `connection`")
            await SessionStore(mesh).create("s1", title="Tour")
            hello = await chat.send("Hello!", sender="ada")
            await chat.send("Is anyone there?", sender="ada")
            await hear(first, 3)
        await mesh.connection.request("chat.s1.message", b'{"sender":"scout","content":"I am."}', timeout_s=5)

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

        async with connect(f"{url}?since=Rzzzzzz-3") as third:
            assert await hear(third) == shown("### `gap`")
            await hear(third, 7)
            async with within():
                draining = asyncio.create_task(running.edge.drain())
                assert await hear(third) == shown("### `reconnect`")
                with pytest.raises(ConnectionClosed, match="1012"):
                    await third.recv()
                await draining
