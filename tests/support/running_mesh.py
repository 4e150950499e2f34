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

_ADDRESS = re.compile(r"(page|NATS|edge)\s+(\w+://127\.0\.0\.1:(\d+))")


class RunningMesh:
    """`mesh up` in a folder of its own; what was said stays there over a stop and a start, and so do its ports.

    Args:
        folder: where its data and its log are kept.
        arguments: more options of the command.
        variables: more of its environment.
    """

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self.url = ""
        self.nats_url = ""
        self.edge_urls: list[str] = []
        self._folder = folder
        self._arguments = arguments
        self._variables = variables
        self._ports = {"page": "0", "NATS": "0"}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def port(self) -> int:
        """Where the page, the API and the edge listen."""
        return int(self._ports["page"])

    @property
    def pid(self) -> int:
        """The process of the API and the edge, the parent of the others."""
        assert self._process is not None
        return self._process.pid

    @property
    def data_dir(self) -> Path:
        """What is there again after a stop and a start."""
        return self._folder / ".mesh"

    @property
    def log(self) -> str:
        """What it wrote to standard error."""
        return (self._folder / "log").read_text()

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MESH_")}
        environment.update(self._variables)
        with (self._folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "mesh_cli", "up", "--port", self._ports["page"], "--nats-port", self._ports["NATS"]),
                *self._arguments,
                cwd=self._folder,
                env=environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        found: dict[str, str] = {}
        self.edge_urls = []
        line = ""
        try:
            async with within(30):
                while "Ctrl-C" not in line:
                    line = (await self._process.stdout.readline()).decode()
                    assert line, f"mesh up ended: {self.log}"
                    if match := _ADDRESS.search(line):
                        if match[1] == "edge":
                            self.edge_urls.append(match[2])
                        else:
                            found[match[1]], self._ports[match[1]] = match[2], match[3]
        except BaseException:
            await self.stop()
            raise
        self.url, self.nats_url = found["page"], found["NATS"]

    async def restart(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it, politely or not, and start it again on the same ports."""
        await self.stop(how)
        await self.start()

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> int | None:
        """Stop it, politely or not, and wait for its end; its exit code, None where it did not run."""
        process, self._process = self._process, None
        if process is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(how)
        try:
            async with within(20):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.communicate()
            raise
        return process.returncode

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
