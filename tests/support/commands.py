"""The `mesh` command as a test types it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.deadlines import within

MESH = [sys.executable, "-m", "mesh_cli"]


def mesh(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run `mesh` to its end."""
    return subprocess.run([*MESH, *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=30)


def refused(*arguments: str, code: int = 1) -> str:
    """Run `mesh`, which must fail with one sentence on standard error and nothing else; give the sentence."""
    done = mesh(*arguments)
    assert (done.returncode, done.stdout) == (code, ""), done
    assert done.stderr.startswith("mesh: "), done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr.strip()


class Tail:
    """A running `mesh tail`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        """Give its next line."""
        assert self.process.stdout is not None
        async with within():
            line = await self.process.stdout.readline()
        assert line.endswith(b"\n"), line
        return line.decode().rstrip("\n")

    async def event(self) -> dict[str, Any]:
        """Give its next line of `--json`."""
        event: dict[str, Any] = json.loads(await self.line())
        return event


@asynccontextmanager
async def tailing(nats_url: str, *arguments: str) -> AsyncIterator[Tail]:
    """Run `mesh tail` for a block, and end it."""
    process = await asyncio.create_subprocess_exec(
        *(*MESH, "tail", "--nats-url", nats_url, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Tail(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
