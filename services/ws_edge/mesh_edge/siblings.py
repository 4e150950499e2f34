"""Edge processes that share one port: what each of them knows, asked over Unix sockets between them.

Whoever comes to the port is answered by any one of them, for all. Each listens on a Unix socket of its own, in a folder
that only their user may enter. A question is one line of JSON, and so is its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from daena_mesh.errors import ConfigurationError

MOST_PATH_BYTES = 100
"""Of a Unix socket; systems take 103 or 107."""
_ANSWERS_WITHIN_S = 1.0
_MOST_LINE_BYTES = 4 * 1_048_576
_log = logging.getLogger(__name__)


class Siblings:
    """The place of this process among those that share its port.

    Args:
        folder: where their sockets are.
        number: which of them this is, from 1 on.
        count: how many there are.
    """

    def __init__(self, folder: Path, number: int, count: int) -> None:
        self.number = number
        self.count = count
        self._folder = folder

    @classmethod
    def parse(cls, text: str) -> Siblings:
        """Read ``<number>/<count>:<folder>``; raises `ConfigurationError`."""
        place, _, folder = text.partition(":")
        number, _, count = place.partition("/")
        if not (folder and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise ConfigurationError(f"--worker {text!r} is not <number>/<count>:<folder>")
        return cls(Path(folder), int(number), int(count))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}:{self._folder}"

    @contextlib.asynccontextmanager
    async def answering(self, answer: Callable[[bytes], bytes]) -> AsyncIterator[None]:
        """Answer the others by ``answer``, which takes and gives one line without its end."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                async with asyncio.timeout(_ANSWERS_WITHIN_S):
                    question = await reader.readline()
                    writer.write(answer(question.rstrip(b"\n")) + b"\n")
                    await writer.drain()
            except (OSError, ValueError, TimeoutError, msgspec.MsgspecError) as error:
                _log.warning("a question of another worker could not be answered: %s", error)
            finally:
                writer.close()

        path = self._path(self.number)
        path.unlink(missing_ok=True)  # of the one that was killed before this one
        server = await asyncio.start_unix_server(serve, path, limit=_MOST_LINE_BYTES)
        try:
            yield
        finally:
            server.close()
            path.unlink(missing_ok=True)

    async def ask(self, question: bytes) -> list[bytes | None]:
        """Ask all others at once; None for one that does not answer."""
        others = (number for number in range(1, self.count + 1) if number != self.number)
        return await asyncio.gather(*(self._ask(number, question) for number in others))

    def remove(self) -> None:
        """Remove the folder, once the last one has left: the parent that made it has gone."""
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    async def _ask(self, number: int, question: bytes) -> bytes | None:
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                reader, writer = await asyncio.open_unix_connection(self._path(number), limit=_MOST_LINE_BYTES)
                try:
                    writer.write(question + b"\n")
                    line = await reader.readline()
                finally:
                    writer.close()
        except (OSError, ValueError, TimeoutError):
            return None
        return line[:-1] if line.endswith(b"\n") else None

    def _path(self, number: int) -> Path:
        return self._folder / str(number)
