"""A whole mesh as people run it: `mesh up` as a process of its own, on free ports."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.deadlines import within

_ADDRESS = re.compile(r"(page|NATS)\s+(\w+://127\.0\.0\.1:(\d+))")


class RunningMesh:
    """`mesh up` in a folder of its own; what was said stays there over a stop and a start, and so do its ports.

    Args:
        folder: where its data and its log are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.url = ""
        self.nats_url = ""
        self._folder = folder
        self._ports = {"page": "0", "NATS": "0"}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def port(self) -> int:
        """Where the page, the API and the edge listen."""
        return int(self._ports["page"])

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MESH_")}
        with (self._folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "mesh_cli", "up", "--port", self._ports["page"], "--nats-port", self._ports["NATS"]),
                cwd=self._folder,
                env=environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        found: dict[str, str] = {}
        try:
            async with within(30):
                while len(found) < len(self._ports):
                    line = (await self._process.stdout.readline()).decode()
                    assert line, f"mesh up ended: {(self._folder / 'log').read_text()}"
                    if match := _ADDRESS.search(line):
                        found[match[1]], self._ports[match[1]] = match[2], match[3]
        except BaseException:
            await self.stop()
            raise
        self.url, self.nats_url = found["page"], found["NATS"]

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it, politely or not, and wait for its end."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(how)
        try:
            async with within(20):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.communicate()
            raise

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
