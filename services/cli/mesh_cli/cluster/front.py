"""One origin in front of the APIs and edges: nginx with `deploy/nginx.conf`, where nginx is there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from mesh_cli.cluster.nginx import Nginx
from mesh_cli.listening import CannotServe, Listener

_PACKAGED = Path(__file__).parent / "_deploy"
_CHECKOUT = Path(__file__).parents[4] / "deploy"
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_FIRST_PAUSE_S = 0.1
_MOST_PAUSE_S = 5.0
_log = logging.getLogger(__name__)
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


class Front:
    """nginx that is started again whenever it dies; a context manager that leaves nothing behind.

    Its socket is held here, so whoever comes meanwhile waits for it instead of being refused. Entering raises
    `CannotServe`.
    """

    def __init__(
        self, program: str, folder: Path, listener: Listener, apis: Sequence[str], edges: Sequence[str]
    ) -> None:
        """``apis`` and ``edges`` are addresses: ``host:port``."""
        self._program = program
        self._folder = folder
        self._listener = listener
        own = "{}:{}".format(*listener.socket.getsockname()[:2])
        self._configuration = adapted(shipped(), folder, own, apis, edges)
        self._nginx: Nginx | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process of its master; None while there is none."""
        return None if self._nginx is None else self._nginx.pid

    async def __aenter__(self) -> Self:
        nginx = await self._begin()
        self._keeper = asyncio.create_task(self._keep(nginx), name="nginx")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._nginx is not None:
            await self._nginx.stop()

    async def _begin(self) -> Nginx:
        self._nginx = await Nginx.start(self._program, self._folder, self._listener, self._configuration)
        return self._nginx

    async def _keep(self, nginx: Nginx) -> None:
        while True:
            await nginx.wait()
            self._nginx = None
            _log.error("nginx (process %d) ended; starting it again", nginx.pid)
            pause_s = _FIRST_PAUSE_S
            while self._nginx is None:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _MOST_PAUSE_S)
                try:
                    nginx = await self._begin()
                except (CannotServe, OSError) as error:
                    _log.error("nginx: %s", error)
