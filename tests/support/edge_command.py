"""`mesh edge` as people run it: a process of its own on a free port, or several that share one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.deadlines import within
from tests.support.processes import children_of
from tests.support.ws_client import Client

_READY = re.compile(r"edge ready at (http://127\.0\.0\.1:(\d+))")
_WORKER = re.compile(r" --worker (\d+)/")


class EdgeCommand:
    """A running `mesh edge`."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self._log = log

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def log(self) -> str:
        """What it wrote to standard error."""
        return self._log.read_text()

    def connect(self, path: str, **options: Any) -> Client:
        """Give a client for ``async with``; see `Client`."""
        return Client(f"ws{self.url.removeprefix('http')}{path}", **options)

    async def workers(self) -> list[int]:
        """List the processes that share its port, by their numbers."""
        children = (await children_of(self.process.pid)).items()
        numbers = {pid: int(match[1]) for pid, line in children if (match := _WORKER.search(line))}
        return sorted(numbers, key=numbers.__getitem__)

    async def end(self, how: signal.Signals = signal.SIGTERM, *, within_s: float = 20.0) -> int:
        """Send a signal, wait for its end, and give its exit status."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(how)
        async with within(within_s):
            return await self.process.wait()


@asynccontextmanager
async def edge_command(
    nats_url: str, *arguments: str, folder: Path, port: int = 0, **settings: Any
) -> AsyncIterator[EdgeCommand]:
    """Run `mesh edge`, which is ready when it is given; its log is kept in ``folder``, ``settings`` are an edge's."""
    environment = {f"MESH_{name.upper()}": str(value) for name, value in settings.items()}
    log = folder / "edge.log"
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "mesh_cli", "edge", "--port", str(port), "--nats-url", nats_url, *arguments),
            env={**os.environ, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    try:
        async with within(30):
            line = (await process.stdout.readline()).decode()
        match = _READY.match(line)
        assert match, f"the edge ended at its start: {line}{log.read_text()}"
        yield EdgeCommand(process, match[1], log)
    finally:
        if process.returncode is None:
            process.kill()  # its workers notice, and end
        await process.communicate()
