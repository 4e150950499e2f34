"""A real Caddy with `deploy/Caddyfile`."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

from tests.support.deadlines import eventually
from tests.support.front import BehindProxy, behind

CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy" / "Caddyfile"


def behind_caddy(caddy: Path, nats_url: str, folder: Path) -> AbstractAsyncContextManager[BehindProxy]:
    """Run all of it; see `behind`."""
    return behind(partial(running_caddy, caddy), nats_url, folder)


@asynccontextmanager
async def running_caddy(caddy: Path, folder: Path, api: str, edges: Sequence[str]) -> AsyncIterator[str]:
    """Run Caddy with the configuration as it is shipped, but for the addresses, and give its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        own = f"127.0.0.1:{free.getsockname()[1]}"
    here = [address.removeprefix("http://") for address in edges]
    text = _at(
        CONFIGURATION.read_text(encoding="utf-8"),
        ("reverse_proxy 127.0.0.1:8000", f"reverse_proxy {api.removeprefix('http://')}"),
        ("127.0.0.1:8001 127.0.0.1:8002 {", f"{here[0]} {here[1]} {{"),
        ("http://127.0.0.1:8080 {", f"http://{own} {{"),
    )
    (folder / "Caddyfile").write_text(text, encoding="utf-8")
    command = (caddy, "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile")
    own_places = {"XDG_DATA_HOME": str(folder / "data"), "XDG_CONFIG_HOME": str(folder / "config")}
    with (folder / "caddy.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **own_places}, stdout=log, stderr=log
        )

    async def listens() -> bool:
        assert process.returncode is None, (folder / "caddy.log").read_text()
        try:
            _, writer = await asyncio.open_connection(*own.split(":"))
        except OSError:
            return False
        writer.close()
        return True

    try:
        await eventually(listens, within_s=30)
        yield f"http://{own}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
    assert process.returncode == 0, (folder / "caddy.log").read_text()


def _at(text: str, *replaced: tuple[str, str]) -> str:
    """A configuration that is shipped, with addresses of this machine; each stands there once."""
    for shipped, here in replaced:
        assert text.count(shipped) == 1, shipped
        text = text.replace(shipped, here)
    return text
