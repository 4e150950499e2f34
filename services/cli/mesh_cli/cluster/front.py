"""One origin in front of the APIs and edges: nginx with `deploy/nginx.conf`, where nginx is there."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from mesh_cli.listening import CannotServe, Listener

_PACKAGED = Path(__file__).parent / "_deploy"
_CHECKOUT = Path(__file__).parents[4] / "deploy"
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_STOPS_WITHIN_S = 3.0
_upstream = re.compile(r"( *)server 127\.0\.0\.1:\d+;\n(?: *server 127\.0\.0\.1:\d+;\n)*")


def shipped() -> str:
    """The text of `deploy/nginx.conf`, in the wheel or in the checkout; raises `CannotServe`."""
    for folder in (_PACKAGED, _CHECKOUT):
        if (folder / "nginx.conf").exists():
            return (folder / "nginx.conf").read_text(encoding="utf-8")
    raise CannotServe("deploy/nginx.conf is missing from this installation: reinstall daena-mesh")


def adapted(text: str, folder: Path, own: str, apis: Sequence[str], edges: Sequence[str]) -> str:
    """The configuration ``text`` with other addresses, and with what nginx writes in ``folder``.

    Addresses are ``host:port``. Raises `ValueError` where the text is not as it was shipped.
    """
    groups = iter((apis, edges))

    def servers(found: re.Match[str]) -> str:
        return "".join(f"{found[1]}server {address};\n" for address in next(groups))

    text, upstreams = _upstream.subn(servers, text, count=2)
    text, listens = re.subn(r"listen 127\.0\.0\.1:8080;", f"listen {own};", text)
    written = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in _TEMPORARY)
    text, blocks = re.subn(
        r"^http \{\n", lambda _: f"http {{\n    access_log off;\n{written}", text, flags=re.MULTILINE
    )
    if (upstreams, listens, blocks) != (2, 1, 1):
        raise ValueError("nginx.conf is not as it was shipped")
    return text


def find_nginx() -> str | None:
    """The program, if this machine has it."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")


@asynccontextmanager
async def running_nginx(
    nginx: str, folder: Path, listener: Listener, apis: Sequence[str], edges: Sequence[str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run nginx for a block at the socket that is bound already; raises `CannotServe`."""
    host, port = listener.socket.getsockname()[:2]
    configuration, log_path = folder / "nginx.conf", folder / "nginx.log"
    _write(configuration, adapted(shipped(), folder, f"{host}:{port}", apis, edges))
    user = "user root; " if os.geteuid() == 0 else ""
    with _opened(log_path) as log:
        process = await asyncio.create_subprocess_exec(
            nginx,
            *("-p", str(folder), "-c", str(configuration), "-e", "stderr"),
            *("-g", f"{user}daemon off; pid {folder}/nginx.pid;"),
            # As when it replaces itself: it takes over the socket that it is told to listen on.
            env={**os.environ, "NGINX": f"{listener.socket.fileno()};"},
            pass_fds=[listener.socket.fileno()],
            stdin=asyncio.subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
    try:
        await _answering(process, (host, port), log_path)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOPS_WITHIN_S)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _answering(process: asyncio.subprocess.Process, address: tuple[str, int], log: Path) -> None:
    """Return once a worker accepts; the socket itself is open before nginx is."""
    while process.returncode is None:
        try:
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_connection(*address, family=socket.AF_INET)
                writer.write(b"HEAD / HTTP/1.0\r\n\r\n")
                line = await reader.readline()
                writer.close()
            if line:
                return
        except (OSError, TimeoutError):
            await asyncio.sleep(0.05)
    raise CannotServe(f"nginx ended at its start: {_tail(log)}")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _opened(path: Path) -> BinaryIO:
    return path.open("ab")


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-400:].strip()
