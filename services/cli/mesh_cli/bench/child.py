"""Children of a bench: each on a core, spoken to in lines, ended with us."""

from __future__ import annotations

import asyncio
import contextlib
import os
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from mesh_cli.bench.machine import CannotBench, cpu_ns, on_core, private_bytes

ANSWER_WITHIN_S = 60.0
_ENDS_WITHIN_S = 10.0
_QUOTED_BYTES = 600
_LONGEST_LINE_BYTES = 1_048_576

T = TypeVar("T")


class Child:
    """A process that we started. Its standard input is a pipe from us: when that closes, however we end, it ends."""

    def __init__(self, name: str, process: Process, log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log
        self.pid = process.pid
        """Whose processor time and memory count."""

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str],
        *,
        core: int,
        log: Path,
        environ: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> Child:
        """Start ``command`` on a core; what it writes to standard error goes to ``log``."""
        with log.open("ab") as errors, on_core(core):
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=errors,
                env={**os.environ, **(environ or {})},
                pass_fds=tuple(pass_fds),
                start_new_session=True,  # Ctrl-C in the terminal is for us, and we end it
                limit=_LONGEST_LINE_BYTES,
            )
        return cls(name, process, log)

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        if self.process.stdin is None or self.process.stdin.is_closing():
            raise self.failure("it has ended")
        self.process.stdin.write(line.encode() + b"\n")

    async def answer(self, kind: type[T], *, within_s: float = ANSWER_WITHIN_S) -> T:
        """Read its next line, a JSON object; raises `CannotBench` where none comes."""
        assert self.process.stdout is not None  # noqa: S101 - it was asked for
        try:
            line = await asyncio.wait_for(self.process.stdout.readline(), within_s)
        except TimeoutError:
            raise self.failure(f"it said nothing for {within_s:.0f} s") from None
        if not line:
            raise self.failure("it has ended")
        return msgspec.json.decode(line, type=kind)

    def failure(self, what: str) -> CannotBench:
        """Make an error that names the child and quotes the last it wrote."""
        tail = self.log.read_bytes()[-_QUOTED_BYTES:].decode(errors="replace").split("\n")
        said = " / ".join(line.strip() for line in tail[-4:] if line.strip())
        return CannotBench(f"{self.name}: {what}" + (f"; its last words: {said}" if said else ""))

    def cpu_ns(self) -> int:
        """User and system time so far."""
        return cpu_ns(self.pid)

    def private_bytes(self) -> int:
        """Memory of its own."""
        return private_bytes(self.pid)

    async def stop(self) -> None:
        """Close its standard input, and kill it where that does not end it. Safe to call twice."""
        assert self.process.stdin is not None  # noqa: S101 - it was asked for
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.communicate(), _ENDS_WITHIN_S)
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.communicate()
