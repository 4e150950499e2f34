"""Documents as stories: what is typed, what comes back, and what of that differs from one telling to the next."""

from __future__ import annotations

import asyncio
import re
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from tests.support.deadlines import within
from tests.support.markdown import Block

_VARY = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
    (r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<time>"),
    (r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time of storing>"),
    (r"\b\d\d:\d\d:\d\d\b", "<time of day>"),
    (r"\b([RS])[a-z0-9]{6}-\d+", r"<cursor in \1>"),
    (r"\bseq=\d+", "seq=<n>"),
    (r"(Nats-Msg-Id: )[0-9a-f]{32}", r"\1<id>"),
    (r"_INBOX\.[\w.]+", "<inbox>"),
    (r"\[#\d+\]", "[#<n>]"),
    (r'"socket_id":"[0-9a-f]{16}"', '"socket_id":"<id>"'),
)


def told_alike(text: str) -> str:
    """Give a text without the ids, positions and times in it."""
    for pattern, placeholder in _VARY:
        text = re.sub(pattern, placeholder, text)
    return text.strip()


class Typed(NamedTuple):
    """A command in a ``console`` block, and what the document says that it prints."""

    command: str
    output: str


def typed_in(block: Block) -> Iterator[Typed]:
    """Give the commands of a ``console`` block, each on one line."""
    for part in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield Typed(command, output)


class Teller:
    """A program that goes on talking, for ``async with``; it is ended with the block."""

    def __init__(self, command: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.told = ""
        """What it has said, to standard output and standard error."""
        self._command = command
        self._folder = folder
        self._environment = environment
        self._process: asyncio.subprocess.Process
        self._listening: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_shell(
            f"exec {self._command}", stdout=PIPE, stderr=STDOUT, cwd=self._folder, env=dict(self._environment)
        )
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._listening

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        while data := await self._process.stdout.read(65_536):
            self.told += data.decode(errors="replace")


async def printed(command: str, folder: Path, environment: Mapping[str, str], typed: str = "") -> str:
    """Run a shell command to its end and give what it printed; AssertionError where it failed."""
    process = await asyncio.create_subprocess_shell(
        command, stdin=PIPE, stdout=PIPE, stderr=STDOUT, cwd=folder, env=dict(environment)
    )
    try:
        async with within(30):
            told, _ = await process.communicate(typed.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, told.decode()
    return told.decode()
