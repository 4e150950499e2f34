"""`mesh api` as people run it: a process of its own on a free port."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support.deadlines import within

_READY = re.compile(r"API ready at (http://127\.0\.0\.1:\d+)")


class ApiCommand(NamedTuple):
    """A running `mesh api`."""

    pid: int
    url: str


@asynccontextmanager
async def api_command(nats_url: str, folder: Path) -> AsyncIterator[ApiCommand]:
    """Run it; it listens when it is given, and its log is kept in ``folder``."""
    log = folder / "api.log"
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mesh_cli", "api", "--port", "0", "--nats-url", nats_url),
            env=os.environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    try:
        async with within(120):
            line = (await process.stdout.readline()).decode()
        match = _READY.match(line)
        assert match, f"the API ended at its start: {line}{log.read_text(encoding='utf-8')}"
        yield ApiCommand(process.pid, match[1])
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with within(20):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.communicate()
