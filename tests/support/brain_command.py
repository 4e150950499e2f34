"""`mesh brain` as people run it: a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.deadlines import within


class BrainCommand:
    """A running `mesh brain`."""

    def __init__(self, process: asyncio.subprocess.Process, said: str, log: Path) -> None:
        self.process = process
        self.said = said
        """The line that says it is ready."""
        self._log = log

    @property
    def log(self) -> str:
        """What it wrote to standard error."""
        return self._log.read_text()

    async def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for its end, and give its exit status."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(how)
        async with within(40):
            return await self.process.wait()


async def start(nats_url: str, base_url: str, log: Path, **variables: str) -> asyncio.subprocess.Process:
    """Start it; whoever does has to end it."""
    environment = {**os.environ, "OPENAI_BASE_URL": base_url, "MESH_BRAIN_WATCH_S": "0.05", **variables}
    with log.open("ab") as errors:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mesh_cli", "brain", "--nats-url", nats_url),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )


@asynccontextmanager
async def brain_command(nats_url: str, base_url: str, folder: Path, **variables: str) -> AsyncIterator[BrainCommand]:
    """Run it, with ``variables`` in its environment; it is ready when it is given."""
    log = folder / "brain.log"
    process = await start(nats_url, base_url, log, **variables)
    assert process.stdout is not None
    try:
        async with within(60):
            said = (await process.stdout.readline()).decode()
        assert said.startswith("brain ready: "), f"the brain ended at its start: {said}{log.read_text()}"
        yield BrainCommand(process, said.rstrip("\n"), log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
