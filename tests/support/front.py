"""One API and two edges, each a process of its own, behind a real proxy on one origin."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.deadlines import within
from tests.support.edge_command import EdgeCommand, edge_command
from tests.support.ws_client import Client

Proxy = Callable[[Path, str, Sequence[str]], AbstractAsyncContextManager[str]]


class BehindProxy:
    """A mesh behind one origin."""

    def __init__(self, url: str, edges: Sequence[EdgeCommand]) -> None:
        self.url = url
        self.edges = {f"edge-{number}": edge for number, edge in enumerate(edges)}
        """By the names that they call themselves."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def connect(self, path: str, **options: Any) -> Client:
        """Give a client for ``async with``, from a page of this origin unless told otherwise; see `Client`."""
        return Client(f"ws{self.url.removeprefix('http')}{path}", **{"origin": self.url, **options})


@asynccontextmanager
async def behind(proxy: Proxy, nats_url: str, folder: Path) -> AsyncIterator[BehindProxy]:
    """Run all of it, on free ports; the edges take pages of this origin alone.

    ``proxy`` runs the proxy, given a folder of its own, the URL of the API and those of the edges, and gives its URL.
    """

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
        url = await stack.enter_async_context(proxy(folder, api.result(), addresses))
        yield BehindProxy(url, running)


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
