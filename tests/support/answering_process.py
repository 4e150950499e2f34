"""An agent that answers questions in a process of its own, which can be killed and frozen.

As a program: connects to the NATS at its first argument, is the agent of the second, which works on as many questions
at a time as the third says, and answers what the targets that follow are asked. It says on its standard output what it
takes. The question ``wait`` is answered once its standard input says ``go``, and fails when it says ``fail``; any other
is answered at once. It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sys
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from daena_mesh import Ask, Mesh, StreamWriter
from tests.support.deadlines import within
from tests.support.tracked import ROOT

WAIT = "wait"
_LONGEST_S = 0.03


class AnsweringProcess:
    """The process."""

    def __init__(self, nats_url: str, name: str, *targets: str, concurrency: int = 8) -> None:
        self._arguments = nats_url, name, str(concurrency), *targets
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self.taken: list[tuple[str, int]] = []
        """What it took: the text of each question, and which attempt it was."""

    async def __aenter__(self) -> Self:
        """Start it, and wait until it serves."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.answering_process", *self._arguments),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        async with within(40):
            assert await self._process.stdout.readline() == b"serves\n"
        self._reading = asyncio.create_task(self._read(self._process.stdout))
        return self

    async def _read(self, out: asyncio.StreamReader) -> None:
        while line := await out.readline():
            attempt, _, text = line.decode().rstrip("\n").partition(" ")
            self.taken.append((text, int(attempt)))

    def send(self, signum: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(signum)

    def go(self, word: str = "go") -> None:
        """Have it answer what waits, or ``fail`` to."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())

    async def kill(self) -> None:
        """Kill it, and wait until it is gone."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        if self._reading is not None:
            await self._reading

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()
        assert self._process is not None
        await self._process.communicate()


async def _lines() -> AsyncIterator[str]:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode().strip()


async def _serve(nats_url: str, name: str, concurrency: str, *targets: str) -> None:
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with (
        Mesh.connect(nats_url, name=name, wait_s=20) as mesh,
        mesh.agent(name, concurrency=int(concurrency)) as agent,
    ):

        @agent.on_ask(*targets)
        async def answer(ask: Ask, out: StreamWriter) -> str:
            print(ask.attempt, ask.content, flush=True)
            await out.write(f"{name} says ")
            if ask.content == WAIT:
                if await asyncio.shield(told) == "fail":
                    raise RuntimeError("as it was told")
            else:
                await asyncio.sleep(random.uniform(0, _LONGEST_S))
            return ask.content

        print("serves", flush=True)
        async for word in _lines():
            told.set_result(word)


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
