"""What a piece of work finds when it is run: sizes, cores, an empty mesh, children, and somebody to tell."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from daena_mesh.settings import MeshSettings
from mesh_cli.bench.child import Child
from mesh_cli.bench.compiler import compile_program
from mesh_cli.bench.machine import CannotBench, Cores, pin
from mesh_cli.bench.work import OURS


async def provision(nats_url: str) -> None:
    """Make all streams, as the API does."""
    async with Mesh(MeshSettings(nats_url=nats_url), name="bench", provisions=True):
        pass


class Bench:
    """One run of `mesh bench`.

    Args:
        folder: an empty directory, removed after the run.
        cores: who runs where.
        scale: 1 is the full size of each piece of work; tests use a twentieth.
        against: the contenders to run, or None for all.
        tell: shows a line to who waits.
    """

    def __init__(
        self,
        folder: Path,
        cores: Cores,
        *,
        scale: float = 1.0,
        against: Collection[str] | None = None,
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.folder = folder
        self.cores = cores
        self.scale = scale
        self.tell = tell
        self.notes: list[str] = []
        self._against = against
        self._made = 0
        self._programs: dict[str, str] = {}

    def sized(self, full: float, least: int = 1) -> int:
        """Give a number of sockets, topics or events at this run's scale."""
        return max(least, round(full * self.scale))

    def wants(self, contender: str) -> bool:
        """Tell whether to run a contender."""
        return self._against is None or contender in self._against

    def note(self, sentence: str) -> None:
        """Keep a sentence that belongs to the result, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    @contextlib.contextmanager
    def forgiving(self, work: str, contender: str) -> Iterator[None]:
        """Let anybody fail at a piece of work but ours; the reason becomes a note."""
        try:
            yield
        except CannotBench as error:
            if contender == OURS:
                raise
            self.note(f"{work}, {contender}: {error}")

    def path(self, name: str) -> Path:
        """Give a path for a new file or directory."""
        self._made += 1
        return self.folder / f"{self._made:04}-{name}"

    async def program(self, name: str) -> str:
        """Give the path of a C program of the benches, compiled when it is first asked for."""
        if name not in self._programs:
            self._programs[name] = await compile_program(name, self.folder)
        return self._programs[name]

    @contextlib.asynccontextmanager
    async def mesh(self) -> AsyncIterator[NatsServer]:
        """Give an empty nats-server as `mesh up` starts it, with all streams, on the load's core."""
        async with await NatsServer.start(self.path("nats"), port=0) as nats:
            pin(nats.pid, self.cores.load)
            await provision(nats.url)
            yield nats

    @contextlib.asynccontextmanager
    async def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        core: int,
        environ: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> AsyncIterator[Child]:
        """Give a child that runs ``command`` on a core, ended on the way out."""
        log = self.path(f"{name}.log")
        child = await Child.start(name, command, core=core, log=log, environ=environ, pass_fds=pass_fds)
        try:
            yield child
        finally:
            await child.stop()
