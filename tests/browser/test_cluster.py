"""A chat open in a real Chromium, before a cluster of which one process after the other is killed under load."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.async_api import async_playwright

from daena_mesh import Mesh, MeshUnavailable
from daena_mesh.settings import MeshSettings
from mesh_cli.cluster.front import running_nginx
from mesh_cli.cluster.running import HOST, Cluster
from mesh_cli.listening import bind
from tests.support.chromium import FLAGS
from tests.support.cluster import cluster_topology
from tests.support.deadlines import eventually, within

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

RECOVERING_MS = 5_000
"""What is promised of a machine that is not busy with something else."""
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
  globalThis.connection = connect(topic, { fallback: false });
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
  globalThis.say = (subject) => connection
    .send(subject, { sender: "page", content: `m${sent++}` })
    .then(() => acknowledged++, (error) => told.push(["refused", error.code]));
  await new Promise((resolve) => connection.on("state", ({ state }) => state === "connected" && resolve()));
}
"""


@asynccontextmanager
async def busy(mesh: Mesh, sent: list[int]) -> AsyncIterator[None]:
    """Load on other sessions, and one that the page reads, for a block."""

    async def write(session: str, numbers: list[int]) -> None:
        while True:
            text = str(len(numbers))
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
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.promise("P-CLIENT-2", "P-RESUME-2", "P-CLUSTER-1")
async def test_whatever_single_process_dies_the_chat_goes_on(nginx: Path, chromium: Path, tmp_path: Path) -> None:
    async with within(280), AsyncExitStack() as stack:
        topology = cluster_topology(tmp_path, tls=True)
        cluster = await stack.enter_async_context(Cluster(topology))
        await cluster.ready()
        front = bind(HOST, 0)
        stack.callback(front.socket.close)
        apis, edges = ([at.url.removeprefix("http://") for at in some] for some in (cluster.apis, cluster.edges))
        await stack.enter_async_context(running_nginx(str(nginx), tmp_path / "nginx", front, apis, edges))
        known = topology.settings
        settings = MeshSettings(nats_url=known["MESH_NATS_URL"], nats_ca=known["MESH_NATS_CA"], replicas=3)
        mesh = await stack.enter_async_context(Mesh(settings, name="scout", wait_s=20))
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page(bypass_csp=True)
        page.set_default_timeout(60_000)
        await page.goto(f"{front.url}/sdk/mesh.js")
        await page.evaluate(FOLLOW, "chat_s1")
        sent: list[int] = []
        async with busy(mesh, sent):
            for name in [*(node.name for node in cluster.nodes), *cluster.children]:
                before, shown = cluster.pid(name), await page.evaluate("seen.length")
                assert before is not None
                typing = asyncio.create_task(type_on(page))
                os.kill(before, signal.SIGKILL)
                await eventually(partial(is_another, cluster, name, before), within_s=60)
                await cluster.ready()
                await eventually(partial(has_copies, mesh), within_s=60)
                typing.cancel()
                await page.wait_for_function(f"seen.length > {shown + 5}")
        await page.wait_for_function(f"seen.length >= {len(sent)} + sent && acknowledged === sent")
        seen = await page.evaluate("seen")
        assert [text for text in seen if text.startswith("scout")] == [f"scout m{n}" for n in sent]
        typed = int(await page.evaluate("sent"))
        assert typed > 20
        assert [text for text in seen if text.startswith("page")] == [f"page m{n}" for n in range(typed)]
        assert await page.evaluate("told") == []
        times = await page.evaluate("recovering")
        print("recovering, in ms:", [round(time) for time in times])
        assert times, "the edge of the page was among those that were killed"
        is_quiet = os.getloadavg()[0] < (os.cpu_count() or 1)
        assert max(times) < (RECOVERING_MS if is_quiet else BUSY_MS)
        await browser.close()


async def type_on(page: Any) -> None:
    """Type until cancelled."""
    while True:
        await page.evaluate("void say('chat.s1.message')")
        await asyncio.sleep(0.3)


def is_another(cluster: Cluster, name: str, before: int) -> bool:
    """Whether another process took its place."""
    return cluster.pid(name) not in {None, before}


async def has_copies(mesh: Mesh) -> bool:
    """Whether RECORDS has three copies again."""
    try:
        reply = await mesh.connection.request("$JS.API.STREAM.INFO.RECORDS", b"", timeout_s=2)
    except MeshUnavailable:
        return False
    cluster = msgspec.json.decode(reply.body).get("cluster") or {}
    replicas = cluster.get("replicas") or []
    return bool(cluster.get("leader")) and len(replicas) == 2 and all(replica["current"] for replica in replicas)
