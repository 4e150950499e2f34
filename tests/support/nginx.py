"""A real nginx with `deploy/nginx.conf`, in front of one API and two edges, each a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.deadlines import within
from tests.support.edge_command import EdgeCommand, edge_command
from tests.support.ws_client import Client

CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy" / "nginx.conf"
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


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
    listener = socket.create_server(("127.0.0.1", 0))
    own = f"127.0.0.1:{listener.getsockname()[1]}"
    text = CONFIGURATION.read_text(encoding="utf-8")
    for shipped, here in zip(range(8000, 8003), [api, *edges], strict=True):
        text = _replace(text, f"server 127.0.0.1:{shipped};", f"server {here.removeprefix('http://')};")
    text = _replace(text, "listen 127.0.0.1:8080;", f"listen {own};")
    folders = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in _TEMPORARY)
    text = _replace(text, "http {\n", f"http {{\n    access_log off;\n{folders}")
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    user = "user root; " if os.geteuid() == 0 else ""
    with (folder / "nginx.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            nginx,
            *("-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"),
            *("-g", f"{user}daemon off; pid {folder}/nginx.pid;"),
            # As when it replaces itself: it takes over the socket that it is told to listen on.
            env={**os.environ, "NGINX": f"{listener.fileno()};"},
            pass_fds=[listener.fileno()],
            stderr=log,
        )
    listener.close()
    try:
        yield f"http://{own}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
    assert process.returncode == 0, (folder / "nginx.log").read_text()


def _replace(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"{CONFIGURATION.name}: {old}"
    return text.replace(old, new)
