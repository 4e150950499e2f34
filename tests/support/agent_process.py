"""An agent of the real SDK in a process of its own, which can be killed and frozen.

As a program: connects to the NATS at its first argument, is the agent of the second, and works on a task of the third
until it is cancelled, one step after the other. Then, and on SIGTERM, it leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from types import TracebackType
from typing import Self

from daena_mesh import Mesh
from tests.support.deadlines import eventually, within
from tests.support.tracked import ROOT

_STEP_S = 0.1


class AgentProcess:
    """The process."""

    def __init__(self, nats_url: str, name: str, task_id: str) -> None:
        self._arguments = nats_url, name, task_id
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        """Start it, and wait until it is at its task."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.agent_process", *self._arguments),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        async with within(30):
            assert await self._process.stdout.readline() == b"at work\n"
        return self

    def send(self, signum: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(signum)

    async def end(self) -> int:
        """Wait for its end; its exit code."""
        assert self._process is not None
        async with within(20):
            await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.communicate()


async def _work(nats_url: str, name: str, task_id: str) -> None:
    told_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
    async with Mesh.connect(nats_url, name=name) as mesh, mesh.agent(name) as agent:
        async with agent.task(task_id, total=1_000_000, title="Count") as task:
            await agent.activity("counting", until="told to end")
            await eventually(lambda: agent._heartbeat._told == ("busy", []))  # an agent waits for nobody to hear it
            print("at work", flush=True)
            while not told_to_end.is_set():
                await task.advance()
                await asyncio.sleep(_STEP_S)
        print(task.status, flush=True)


if __name__ == "__main__":
    asyncio.run(_work(*sys.argv[1:]))
