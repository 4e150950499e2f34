"""Processes by their ids: who is there, whose children they are, and that nobody stays when a test fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

from daena_mesh.local import is_alive
from tests.support.deadlines import eventually


async def children_of(pid: int) -> dict[int, str]:
    """Give the processes whose parent is ``pid``, and their commands, however long."""
    process = await asyncio.create_subprocess_exec(
        *("ps", "-A", "-ww", "-o", "pid=,ppid=,args="), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    rows = [line.split(None, 2) for line in out.decode(errors="replace").splitlines()]
    return {int(row[0]): row[2] for row in rows if len(row) == 3 and row[1] == str(pid)}


async def all_gone(*pids: int, within_s: float = 10.0) -> None:
    """Wait until none of them is there."""
    await eventually(lambda: not any(map(is_alive, pids)), within_s=within_s)


@contextlib.contextmanager
def none_left(*pids: int) -> Iterator[None]:
    """Kill those that a block which fails has left."""
    try:
        yield
    except BaseException:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        raise
