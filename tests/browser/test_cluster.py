"""A chat open in a real Chromium, before a cluster of which one process after the other is stopped under load."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from playwright.async_api import async_playwright

from daena_mesh import Mesh, MeshUnavailable
from daena_mesh.settings import MeshSettings
from mesh_cli.cluster.front import Front
from mesh_cli.cluster.running import HOST, Cluster
from mesh_cli.listening import bind
from tests.support.chromium import FLAGS
from tests.support.cluster import cluster_topology
from tests.support.deadlines import eventually, within

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

RECOVERING_MS = 5_000
"""In all after one process stopped; what is promised of a machine that is not busy with something else."""
BUSY_MS = 20_000
OTHERS, PACE_S = 8, 0.1

FOLLOW = """
async (topic) => {
  const { connect } = await import("/sdk/mesh.js");
  globalThis.seen = [];
  globalThis.told = [];
  globalThis.acknowledged = 0;
  globalThis.sent = 0;
  globalThis.recovering = [];
  globalThis.edge = "";
  class Watched extends WebSocket {
    constructor(...all) {
      super(...all);
      this.addEventListener("message", ({ data }) => {
        const { event_type, payload } = JSON.parse(data);
        if (event_type === "connection") globalThis.edge = payload.edge;
      });
    }
  }
  globalThis.connection = connect(topic, { fallback: false, WebSocket: Watched });
  connection.on("chat.message", ({ payload }) => seen.push(`${payload.sender} ${payload.content}`));
  for (const type of ["gap", "error"]) connection.on(type, (what) => told.push([type, what]));
  let since = null;
  connection.on("state", ({ state }) => {
    if (state === "recovering") since ??= performance.now();
    else if (since !== null) {
      recovering.push(performance.now() - since);
      since = null;
    }
  });
  globalThis.longest = 0;
  globalThis.say = (subject) => {
    const typedAt = performance.now();
    return connection.send(subject, { sender: "page", content: `m${sent++}` }).then(
      () => {
        acknowledged++;
        longest = Math.max(longest, performance.now() - typedAt);
      },
      (error) => told.push(["refused", error.code]),
    );
  };
  await new Promise((resolve) => connection.on("state", ({ state }) => state === "connected" && resolve()));
}
"""


@asynccontextmanager
async def busy(mesh: Mesh, sent: list[int]) -> AsyncIterator[None]:
    """Load on other sessions, and one that the page reads, for a block; all that was said in it is in ``sent`` then."""
    is_over = False

    async def write(session: str, numbers: list[int]) -> None:
        said = 0
        while not is_over or said > len(numbers):  # what nobody confirmed may be stored all the same
            text, said = str(len(numbers)), len(numbers) + 1
            with contextlib.suppress(MeshUnavailable):
                await mesh.publish(
                    f"chat.{session}.message",
                    {"session_id": session, "sender": "scout", "content": f"m{text}"},
                    event_id=f"{session}-{text}",
                )
                numbers.append(len(numbers))
            await asyncio.sleep(PACE_S)

    tasks = [asyncio.create_task(write(f"other{number}", [])) for number in range(OTHERS)]
    tasks.append(asyncio.create_task(write("s1", sent)))
    try:
        yield
    finally:
        is_over = True
        async with within(60):
            await asyncio.gather(*tasks)


class Took(NamedTuple):
    """What somebody at the page had of it, in ms."""

    recovering: float
    stored: float
    """How long the slowest message that was typed meanwhile took to be stored."""


@dataclass(frozen=True)
class Stage:
    """A cluster behind nginx, a page that follows its chat, and who writes there."""

    cluster: Cluster
    front: Front
    mesh: Mesh
    page: Any

    def pid(self, name: str) -> int | None:
        """The process of that name; None while there is none."""
        return self.front.pid if name == "nginx" else self.cluster.pid(name)

    def is_another(self, name: str, before: int) -> bool:
        """Whether another process took its place."""
        return self.pid(name) not in {None, before}

    async def edge(self) -> str:
        """The edge that the page is connected to."""
        await self.page.wait_for_function("connection.state.state === 'connected'")
        return str(await self.page.evaluate("edge"))

    async def has_copies(self) -> bool:
        """Whether RECORDS has a leader, and two others with all of it."""
        replicas = (await raft_of_records(self.mesh)).get("replicas") or []
        return len(replicas) == 2 and all(replica["current"] for replica in replicas)


@asynccontextmanager
async def staged(nginx: Path, chromium: Path, folder: Path) -> AsyncIterator[Stage]:
    """Run all of it."""
    async with AsyncExitStack() as stack:
        topology = cluster_topology(folder, tls=True)
        cluster = await stack.enter_async_context(Cluster(topology))
        await cluster.ready()
        at = bind(HOST, 0)
        stack.callback(at.socket.close)
        apis, edges = ([one.url.removeprefix("http://") for one in some] for some in (cluster.apis, cluster.edges))
        front = await stack.enter_async_context(Front(str(nginx), folder / "nginx", at, apis, edges))
        known = topology.settings
        settings = MeshSettings(nats_url=known["MESH_NATS_URL"], nats_ca=known["MESH_NATS_CA"], replicas=3)
        mesh = await stack.enter_async_context(Mesh(settings, name="scout", wait_s=20))
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page(bypass_csp=True)
        page.set_default_timeout(60_000)
        await page.goto(f"{at.url}/sdk/mesh.js")
        await page.evaluate(FOLLOW, "chat_s1")
        yield Stage(cluster, front, mesh, page)
        await browser.close()


@pytest.mark.promise("P-CLIENT-2", "P-RESUME-2", "P-CLUSTER-1")
async def test_whatever_single_process_stops_the_chat_goes_on(nginx: Path, chromium: Path, tmp_path: Path) -> None:
    async with within(280), staged(nginx, chromium, tmp_path) as stage:
        page, sent = stage.page, list[int]()
        took: dict[str, Took] = {}
        async with busy(stage.mesh, sent):
            leader = await leader_of_records(stage.mesh)
            others = [node.name for node in stage.cluster.nodes if node.name != leader]
            edge = await stage.edge()
            await stopped(stage, f"kill {leader}, which leads RECORDS", leader, took)
            for name in (*others, *(name for name in stage.cluster.children if name != edge), "nginx"):
                await stopped(stage, f"kill {name}", name, took)
            edge = await stage.edge()
            await stopped(stage, f"kill {edge}, the edge of the page", edge, took)
            assert took[f"kill {edge}, the edge of the page"].recovering
            leader = await leader_of_records(stage.mesh)
            await frozen(stage, f"freeze {leader}, which leads RECORDS", leader, took)
        await page.wait_for_function(f"seen.length >= {len(sent)} + sent && acknowledged === sent")
        seen = await page.evaluate("seen")
        assert [text for text in seen if text.startswith("scout")] == [f"scout m{n}" for n in sent]
        typed = int(await page.evaluate("sent"))
        assert typed > 20
        assert [text for text in seen if text.startswith("page")] == [f"page m{n}" for n in range(typed)]
        assert await page.evaluate("told") == []
        for what, (recovering, stored) in took.items():
            print(f"| {what} | {recovering / 1000:.1f} s | {stored / 1000:.1f} s |")
        assert took["kill nginx"].recovering, "it would have stopped nothing"
        is_quiet = os.getloadavg()[0] < (os.cpu_count() or 1)
        assert max(times.recovering for times in took.values()) < (RECOVERING_MS if is_quiet else BUSY_MS)


async def stopped(stage: Stage, what: str, name: str, took: dict[str, Took]) -> None:
    """Kill a process while somebody types, wait until all is whole again, and note what the page showed."""
    before = stage.pid(name)
    assert before is not None
    async with typing_on(stage, what, took):
        os.kill(before, signal.SIGKILL)
        await eventually(partial(stage.is_another, name, before), within_s=60)
        await stage.cluster.ready()
        await eventually(stage.has_copies, within_s=60)


async def frozen(stage: Stage, what: str, leader: str, took: dict[str, Took]) -> None:
    """Stop a node that leads RECORDS without a word to anybody, until another leads and the page is shown more."""
    pid = stage.pid(leader)
    assert pid is not None
    async with typing_on(stage, what, took):
        os.kill(pid, signal.SIGSTOP)
        try:
            await eventually(partial(leads_another, stage.mesh, leader), within_s=60)
            shown = await stage.page.evaluate("seen.length")
            await stage.page.wait_for_function(f"seen.length > {shown + 20}")
        finally:
            os.kill(pid, signal.SIGCONT)
        await eventually(stage.has_copies, within_s=60)


@asynccontextmanager
async def typing_on(stage: Stage, what: str, took: dict[str, Took]) -> AsyncIterator[None]:
    """Type for a block, wait until the chat goes on, and note how that was for who typed."""

    async def type_on() -> None:
        while True:
            await stage.page.evaluate("void say('chat.s1.message')")
            await asyncio.sleep(0.3)

    page = stage.page
    already = len(await page.evaluate("longest = 0, recovering"))
    typing = asyncio.create_task(type_on())
    yield
    typing.cancel()
    await page.wait_for_function("acknowledged === sent && connection.state.state === 'connected'")
    shown = await page.evaluate("seen.length")
    await page.wait_for_function(f"seen.length > {shown + 5}")
    recovering, stored = await page.evaluate("[recovering, longest]")
    took[what] = Took(sum(recovering[already:]), stored)


async def leads_another(mesh: Mesh, leader: str) -> bool:
    """Whether the stream has a leader, and another one."""
    return await leader_of_records(mesh) not in {"", leader}


async def leader_of_records(mesh: Mesh) -> str:
    """The name of the node that leads it; empty where nobody says."""
    return str((await raft_of_records(mesh)).get("leader") or "")


async def raft_of_records(mesh: Mesh) -> dict[str, Any]:
    """What NATS says of the nodes that keep it; empty where nobody answers."""
    try:
        reply = await mesh.connection.request("$JS.API.STREAM.INFO.RECORDS", b"", timeout_s=2)
    except MeshUnavailable:
        return {}
    cluster: dict[str, Any] = msgspec.json.decode(reply.body).get("cluster") or {}
    return cluster
