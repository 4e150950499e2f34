"""Processes of the mesh's own: started, watched, started again, and ended with their parent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mesh_cli.listening import CannotServe, Listener, for_child, until_ready

STOP_WITHIN_S = 8.0
"""On top of what draining takes."""
_FIRST_PAUSE_S = 0.1
_MOST_PAUSE_S = 5.0
_LIVED_LONG_S = 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Child:
    """One process: a command of `mesh`, and where it serves, if it does."""

    name: str
    """What the log calls it."""
    command: tuple[str, ...]
    listener: Listener | None = None
    variables: tuple[tuple[str, str], ...] = ()
    """Of its environment, where they differ from ours and from those of the others."""
    launcher: tuple[str, ...] = ()
    """What starts it, such as ``ip netns exec``."""

    def __str__(self) -> str:
        return self.name if self.listener is None else f"{self.name} at {self.listener.url}"


def edge(listener: Listener, *arguments: str, name: str = "edge") -> Child:
    """An edge that serves at ``listener``."""
    return Child(name, ("edge", *arguments), listener)


class Children:
    """Processes, one for each child.

    One that serves does so on a socket that it inherits, and its port is held here, so it is never lost to somebody
    else while it is started again. The standard input of each is a pipe from this process: when that closes, however
    we end, it ends too.
    """

    def __init__(
        self,
        children: Sequence[Child],
        nats_url: str,
        *,
        verbose: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """``variables`` are those of their environment that differ from ours."""
        self._children = children
        self._arguments = [*(["--nats-url", nats_url] if nats_url else []), *(["--verbose"] if verbose else [])]
        self._variables = dict(variables or {})
        self._keepers: list[asyncio.Task[None]] = []
        self._processes: dict[Child, asyncio.subprocess.Process] = {}
        self.drain_s = 0.0
        """Over how long each of them sends its sockets away when it is stopped."""

    async def start(self) -> None:
        """Start them all; raises `CannotServe` where that is impossible."""
        for child in self._children:
            try:
                process = await self._spawn(child)
            except OSError as error:
                raise CannotServe(f"the process of the {child.name} cannot be started: {error}") from error
            self._keepers.append(asyncio.create_task(self._keep(child, process), name=child.name))

    async def ready(self) -> None:
        """Return when each of those that serve is ready."""
        await asyncio.gather(*(until_ready(listener) for listener in self._listeners()))

    async def stop(self) -> None:
        """Ask all to end, and wait; who does not is killed. Safe to call twice."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for listener in self._listeners():
            listener.socket.close()
        within_s = self.drain_s + STOP_WITHIN_S
        await asyncio.gather(*(_end(process, within_s) for process in self._processes.values()))

    def pid(self, child: Child) -> int | None:
        """The process of ``child``; None while there is none."""
        process = self._processes.get(child)
        return None if process is None or process.returncode is not None else process.pid

    def _listeners(self) -> set[Listener]:
        return {child.listener for child in self._children if child.listener is not None}

    async def _keep(self, child: Child, process: asyncio.subprocess.Process) -> None:
        clock = asyncio.get_running_loop().time
        pause_s, started = _FIRST_PAUSE_S, clock()
        while True:
            status = await process.wait()
            pause_s = _FIRST_PAUSE_S if clock() - started > _LIVED_LONG_S else min(pause_s * 2, _MOST_PAUSE_S)
            _log.error(
                "the %s (process %d) %s; starting it again in %.1f s",
                child,
                process.pid,
                f"was killed by signal {-status}" if status < 0 else f"ended with status {status}",
                pause_s,
            )
            await asyncio.sleep(pause_s)
            started = clock()
            try:
                process = await self._spawn(child)
            except OSError as error:
                _log.error("the %s cannot be started: %s", child, error)

    async def _spawn(self, child: Child) -> asyncio.subprocess.Process:
        command = (*child.launcher, sys.executable, "-m", "mesh_cli", *child.command, *self._arguments)
        variables = {**self._variables, **dict(child.variables)}
        with contextlib.nullcontext() if child.listener is None else for_child(child.listener) as inherited:
            descriptors = () if inherited is None else (inherited.fileno(),)
            process = await asyncio.create_subprocess_exec(
                *command,
                *(f"--inherit={descriptor}" for descriptor in descriptors),
                stdin=asyncio.subprocess.PIPE,
                pass_fds=descriptors,
                env={**os.environ, **variables} if variables else None,
                start_new_session=True,  # Ctrl-C in the terminal is for the parent, which asks its children in turn
            )
        self._processes[child] = process
        return process


async def _end(process: asyncio.subprocess.Process, within_s: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), within_s)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
