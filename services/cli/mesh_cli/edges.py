"""The edge processes of `mesh up --edges N`: started, watched, started again, and ended with their parent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Sequence

from mesh_cli.listening import CannotServe, Listener, until_ready

STOP_WITHIN_S = 8.0
_FIRST_PAUSE_S = 0.1
_MOST_PAUSE_S = 5.0
_LIVED_LONG_S = 10.0
_log = logging.getLogger(__name__)


class Edges:
    """Edge processes, one for each listener.

    A child serves on the listening socket that it inherits, so its port is never lost to somebody else while
    it is started again. Its standard input is a pipe from this process: when that closes, however we end, it
    drains and ends.
    """

    def __init__(self, listeners: Sequence[Listener], nats_url: str, *, verbose: bool = False) -> None:
        self._listeners = listeners
        self._arguments = ["--nats-url", nats_url, *(["--verbose"] if verbose else [])]
        self._keepers: list[asyncio.Task[None]] = []
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        """The process that serves each URL now."""

    async def start(self) -> None:
        """Start them all; raises `CannotServe` where that is impossible."""
        for listener in self._listeners:
            try:
                process = await self._spawn(listener)
            except OSError as error:
                raise CannotServe(f"an edge process cannot be started: {error}") from error
            self._keepers.append(asyncio.create_task(self._keep(listener, process), name=listener.url))

    async def ready(self) -> None:
        """Return when each of them is ready."""
        await asyncio.gather(*(until_ready(listener) for listener in self._listeners))

    async def stop(self) -> None:
        """Ask all to drain and end, and wait; who does not is killed. Safe to call twice."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for listener in self._listeners:
            listener.socket.close()
        await asyncio.gather(*(_end(process) for process in self.processes.values()))

    async def _keep(self, listener: Listener, process: asyncio.subprocess.Process) -> None:
        clock = asyncio.get_running_loop().time
        pause_s, started = _FIRST_PAUSE_S, clock()
        while True:
            status = await process.wait()
            pause_s = _FIRST_PAUSE_S if clock() - started > _LIVED_LONG_S else min(pause_s * 2, _MOST_PAUSE_S)
            _log.error(
                "the edge at %s (process %d) %s; starting it again in %.1f s",
                listener.url,
                process.pid,
                f"was killed by signal {-status}" if status < 0 else f"ended with status {status}",
                pause_s,
            )
            await asyncio.sleep(pause_s)
            started = clock()
            try:
                process = await self._spawn(listener)
            except OSError as error:
                _log.error("the edge at %s cannot be started: %s", listener.url, error)

    async def _spawn(self, listener: Listener) -> asyncio.subprocess.Process:
        descriptor = listener.socket.fileno()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "mesh_cli", "edge", "--inherit", str(descriptor), *self._arguments),
            stdin=asyncio.subprocess.PIPE,
            pass_fds=(descriptor,),
            start_new_session=True,  # Ctrl-C in the terminal is for the parent, which asks its children in turn
        )
        self.processes[listener.url] = process
        return process


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
