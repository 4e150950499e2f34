"""Edge processes: started, watched, started again, and ended with their parent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from mesh_cli.listening import CannotServe, Listener, for_child, until_ready

STOP_WITHIN_S = 8.0
"""On top of what draining takes."""
_FIRST_PAUSE_S = 0.1
_MOST_PAUSE_S = 5.0
_LIVED_LONG_S = 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where one edge process serves."""

    listener: Listener
    name: str = "edge"
    """What the log calls it."""
    arguments: tuple[str, ...] = ()


class Edges:
    """Edge processes, one for each place.

    A child serves on a socket that it inherits, and its port is held here, so it is never lost to somebody else
    while a child is started again. Its standard input is a pipe from this process: when that closes, however we
    end, it drains and ends.
    """

    def __init__(self, places: Sequence[Place], nats_url: str, *, verbose: bool = False) -> None:
        self._places = places
        self._arguments = [*(["--nats-url", nats_url] if nats_url else []), *(["--verbose"] if verbose else [])]
        self._keepers: list[asyncio.Task[None]] = []
        self._processes: dict[Place, asyncio.subprocess.Process] = {}
        self.drain_s = 0.0
        """Over how long each of them sends its sockets away when it is stopped."""

    async def start(self) -> None:
        """Start them all; raises `CannotServe` where that is impossible."""
        for place in self._places:
            try:
                process = await self._spawn(place)
            except OSError as error:
                raise CannotServe(f"an edge process cannot be started: {error}") from error
            self._keepers.append(asyncio.create_task(self._keep(place, process), name=place.name))

    async def ready(self) -> None:
        """Return when each of them is ready."""
        await asyncio.gather(*(until_ready(listener) for listener in self._listeners()))

    async def stop(self) -> None:
        """Ask all to drain and end, and wait; who does not is killed. Safe to call twice."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for listener in self._listeners():
            listener.socket.close()
        within_s = self.drain_s + STOP_WITHIN_S
        await asyncio.gather(*(_end(process, within_s) for process in self._processes.values()))

    def _listeners(self) -> set[Listener]:
        return {place.listener for place in self._places}

    async def _keep(self, place: Place, process: asyncio.subprocess.Process) -> None:
        clock = asyncio.get_running_loop().time
        pause_s, started = _FIRST_PAUSE_S, clock()
        while True:
            status = await process.wait()
            pause_s = _FIRST_PAUSE_S if clock() - started > _LIVED_LONG_S else min(pause_s * 2, _MOST_PAUSE_S)
            _log.error(
                "the %s at %s (process %d) %s; starting it again in %.1f s",
                place.name,
                place.listener.url,
                process.pid,
                f"was killed by signal {-status}" if status < 0 else f"ended with status {status}",
                pause_s,
            )
            await asyncio.sleep(pause_s)
            started = clock()
            try:
                process = await self._spawn(place)
            except OSError as error:
                _log.error("the %s at %s cannot be started: %s", place.name, place.listener.url, error)

    async def _spawn(self, place: Place) -> asyncio.subprocess.Process:
        with for_child(place.listener) as inherited:
            descriptor = inherited.fileno()
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "mesh_cli", "edge", "--inherit", str(descriptor), *place.arguments, *self._arguments),
                stdin=asyncio.subprocess.PIPE,
                pass_fds=(descriptor,),
                start_new_session=True,  # Ctrl-C in the terminal is for the parent, which asks its children in turn
            )
        self._processes[place] = process
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
