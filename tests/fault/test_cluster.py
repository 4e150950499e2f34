"""An edge whose own node of a cluster goes away and comes back: the log has what it did not see."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import websockets

from daena_mesh.mesh import Mesh
from daena_mesh.settings import MeshSettings
from mesh_edge.protocol import HandoverProtocol
from tests.support.cluster import NatsCluster, kill
from tests.support.deadlines import eventually, within

pytestmark = [pytest.mark.timeout(120)]

REPLICAS = 3


@asynccontextmanager
async def publisher(url: str) -> AsyncIterator[Mesh]:
    """A service on one node, which provisions the streams."""
    mesh = Mesh(MeshSettings(nats_url=url, replicas=REPLICAS), name="publisher", provisions=True, wait_s=20)
    async with mesh:
        yield mesh


@asynccontextmanager
async def edge_on(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """An edge that knows a single node; yields the URL of its WebSockets."""
    from mesh_edge.app import create_app

    monkeypatch.setenv("MESH_NATS_URL", url)
    app = create_app()
    config = uvicorn.Config(
        app, port=0, ws=HandoverProtocol, ws_per_message_deflate=False, log_level="warning", timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: server.started)
        yield f"ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


async def until(socket: Any, event_type: str, **members: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The next frame of a type whose payload has these members, and what came before it."""
    before: list[dict[str, Any]] = []
    while True:
        frame = json.loads(await socket.recv())
        if frame["event_type"] == event_type and members.items() <= frame["payload"].items():
            return frame, before
        before.append(frame)


def contents(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["payload"]["content"] for frame in frames if frame["event_type"] == "chat.message"]


def connected(frames: list[dict[str, Any]]) -> list[bool]:
    """Whether the head was reached, for each time that a socket was told that all is well."""
    told = [frame["payload"] for frame in frames if frame["event_type"] == "connection"]
    return [payload["recovered"] for payload in told if payload["status"] == "connected"]


@pytest.mark.promise("P-DOWN-2", "P-DOWN-3", "P-HEAL-1")
async def test_what_other_nodes_store_meanwhile_arrives_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with within(100), NatsCluster(tmp_path) as cluster:
        ours, (our_url, their_url, _) = cluster.nodes[0], cluster.urls
        async with (
            publisher(their_url) as mesh,
            edge_on(our_url, monkeypatch) as url,
            websockets.connect(f"{url}/ws/chat/s1") as socket,
        ):
            await until(socket, "connection", status="connected")
            await mesh.chat("s1").send("0", sender="u")
            await until(socket, "chat.message", content="0")
            await kill(ours)
            await until(socket, "connection", status="degraded")
            for i in range(1, 101):
                await mesh.chat("s1").send(str(i), sender="u")
            await ours.start()
            await mesh.chat("s1").send("101", sender="u")
            # It goes on through its own node when that is back, or before that through one it was told of.
            frames: list[dict[str, Any]] = []
            while contents(frames)[-1:] != ["101"] or connected(frames) != [True]:
                frames.append(json.loads(await socket.recv()))
            assert contents(frames) == [str(i) for i in range(1, 102)]


@pytest.mark.promise("P-DOWN-3", "P-GAP-1")
async def test_signals_that_every_node_has_lost_are_told_as_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with within(100), NatsCluster(tmp_path) as cluster:
        urls = ",".join(cluster.urls)
        async with (
            publisher(urls) as mesh,
            edge_on(urls, monkeypatch) as url,
            websockets.connect(f"{url}/ws/events") as socket,
        ):
            await until(socket, "connection", status="connected")
            await mesh.publish("agent.scout.activity", {"activity": "searching"})
            frame, _ = await until(socket, "agent.activity")
            await mesh.chat("s1").send("kept", sender="u")
            await until(socket, "chat.message", content="kept")
            await cluster.kill_all()
            await cluster.start_all()
            gap, _ = await until(socket, "gap", reason="reset")
            assert gap["payload"]["from"] == frame["cursor"]
            assert gap["payload"]["to"].startswith("S")
            await mesh.connection.wait_ready(30)
            await mesh.publish("agent.scout.activity", {"activity": "again"})
            after, before = await until(socket, "agent.activity", activity="again")
            assert after["cursor"].partition("-")[0] == gap["payload"]["to"].partition("-")[0]
            assert contents(before) == [], "RECORDS was not lost, and nothing of it is shown twice"
