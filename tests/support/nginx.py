"""A real nginx with `deploy/nginx.conf`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

from mesh_cli.cluster.front import adapted, shipped
from mesh_cli.cluster.nginx import Nginx
from mesh_cli.listening import bind
from tests.support.front import BehindProxy, behind


def behind_nginx(nginx: Path, nats_url: str, folder: Path) -> AbstractAsyncContextManager[BehindProxy]:
    """Run all of it; see `behind`."""
    return behind(partial(running_nginx, nginx), nats_url, folder)


@asynccontextmanager
async def running_nginx(nginx: Path, folder: Path, api: str, edges: Sequence[str]) -> AsyncIterator[str]:
    """Run nginx with the configuration as it is shipped, but for the addresses, and give its URL."""
    listener = bind("127.0.0.1", 0)
    with listener.socket:
        apis, others = ([url.removeprefix("http://") for url in urls] for urls in ([api], edges))
        text = adapted(shipped(), folder, f"127.0.0.1:{listener.port}", apis, others)
        running = await Nginx.start(str(nginx), folder, listener, text)
        try:
            yield listener.url
        finally:
            status = await running.stop()
        assert status == 0, (folder / "nginx.log").read_text()
