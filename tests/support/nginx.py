"""A real nginx with `deploy/nginx.conf`, in front of one API and two edges, each a process of its own."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from mesh_cli.cluster import front
from mesh_cli.listening import bind
from tests.support.deadlines import within
from tests.support.edge_command import EdgeCommand, edge_command
from tests.support.ws_client import Client


class BehindNginx:
    """A mesh behind one origin."""

    def __init__(self, url: str, edges: Sequence[EdgeCommand]) -> None:
        self.url = url
        self.edges = {f"edge-{number}": edge for number, edge in enumerate(edges)}
        """By the names that they call themselves."""

    def connect(self, path: str, **options: Any) -> Client:
        """Give a client for ``async with``, from a page of this origin unless told otherwise; see `Client`."""
        return Client(f"ws{self.url.removeprefix('http')}{path}", **{"origin": self.url, **options})


@asynccontextmanager
async def behind_nginx(nginx: Path, nats_url: str, folder: Path) -> AsyncIterator[BehindNginx]:
    """Run all of it, on free ports; the edges take pages of this origin alone."""

    def edge(own: Path) -> AbstractAsyncContextManager[EdgeCommand]:
        return edge_command(nats_url, folder=own, edge_id=own.name, open_loopback=False)

    async with AsyncExitStack() as stack:
        folders = [folder / f"edge-{number}" for number in range(2)]
        for own in folders:
            own.mkdir()
        async with asyncio.TaskGroup() as starting:
            api = starting.create_task(stack.enter_async_context(api_command(nats_url)))
            edges = [starting.create_task(stack.enter_async_context(edge(own))) for own in folders]
        running = [edge.result() for edge in edges]
        addresses = [edge.url for edge in running]
        url = await stack.enter_async_context(running_nginx(nginx, folder, api.result(), addresses))
        yield BehindNginx(url, running)


@asynccontextmanager
async def api_command(nats_url: str) -> AsyncIterator[str]:
    """Run `mesh api`, and give its URL."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mesh_cli", "api", "--port", "0", "--nats-url", nats_url),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with within(30):
            ready = re.fullmatch(r"API ready at (\S+)\n", (await process.stdout.readline()).decode())
        assert ready is not None
        yield ready[1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def running_nginx(nginx: Path, folder: Path, api: str, edges: Sequence[str]) -> AsyncIterator[str]:
    """Run nginx with the configuration as it is shipped, but for the addresses, and give its URL."""
    listener = bind("127.0.0.1", 0)
    with listener.socket:
        apis, others = ([url.removeprefix("http://") for url in urls] for urls in ([api], edges))
        async with front.running_nginx(str(nginx), folder, listener, apis, others) as process:
            yield listener.url
        assert process.returncode == 0, (folder / "nginx.log").read_text()
