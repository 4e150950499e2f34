"""The agent that reads: it walks a folder, makes its texts searchable, and reads again what has changed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from daena_mesh.agent import Agent
from mesh_cli.demo.library import Library
from mesh_cli.demo.passages import passages_of, text_files
from mesh_cli.demo.replies import Shelf

_PACE_S = 0.02
"""Between two files: so that one can watch, and nothing else on the machine has to wait."""
_LOOK_AGAIN_S = 5.0
_COMMIT_EVERY = 50

Seen = tuple[int, int]
"""A file's time of change in nanoseconds, and its size: another one is another text."""


class Reader:
    """Reads into a library for as long as it lives."""

    def __init__(self, folder: Path, library: Library) -> None:
        self._folder = folder
        self._library = library
        self._known: dict[Path, Seen] = {}
        self._held: set[Path] = set()
        """What is in the library: all that is known, but for what it was told not to read."""
        self._of = 0
        self.can_answer = asyncio.Event()
        """Enough was read for a first question."""

    @property
    def shelf(self) -> Shelf:
        """How much can be looked into now."""
        return Shelf(len(self._held), max(self._of, len(self._held)), self._folder.name or str(self._folder))

    async def work(self, agent: Agent) -> None:
        """Read, and look again every few seconds, until it is cancelled."""
        for number in range(1_000_000_000):
            there = await asyncio.to_thread(_look, self._folder)
            gone = [path for path in self._known if path not in there]
            fresh = {path: seen for path, seen in there.items() if self._known.get(path) != seen}
            for path in gone:
                self._library.put(self._name(path), ())
                del self._known[path]
                self._held.discard(path)
            self._of = len(self._held | fresh.keys())
            if fresh:
                await self._read(agent, f"read-{agent.instance}-{number}", fresh)
            if fresh or gone or not self.can_answer.is_set():
                self._library.commit()
                await agent.activity("watching", folder=self._folder.name or str(self._folder), files=len(self._held))
            self.can_answer.set()
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _read(self, agent: Agent, task_id: str, files: dict[Path, Seen]) -> None:
        async with agent.task(task_id, total=len(files), title=f"Reading {self._folder.name}") as task:
            for count, (path, seen) in enumerate(files.items(), 1):
                name = self._name(path)
                await agent.activity("reading", file=name)
                text = await asyncio.to_thread(_text, path)
                self._library.put(name, passages_of(name, text))
                self._known[path] = seen
                self._held.add(path)
                if count % _COMMIT_EVERY == 0:
                    self._library.commit()
                    self.can_answer.set()
                await task.advance(1, note=name)
                await asyncio.sleep(_PACE_S)
        if task.status == "cancelled":  # on the page, say: then it is not begun again by itself
            self._known.update(files)
            self._of = len(self._held)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()


def _look(folder: Path) -> dict[Path, Seen]:
    found: dict[Path, Seen] = {}
    for path in text_files(folder):
        try:
            stat = path.stat()
        except OSError:  # it has gone since
            continue
        found[path] = stat.st_mtime_ns, stat.st_size
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
