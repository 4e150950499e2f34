"""A guardian: the parent of a child that has to end when we end, however we end."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from pathlib import Path

    from daena_mesh.data_lock import DataLock

_T = TypeVar("_T")

_DIED_BY_SIGNAL = 128

# The guardian is the server's parent and lives as long as the server. Its standard input is a pipe that our
# process alone holds open: however we end, SIGKILL included, the pipe closes and the guardian ends the server,
# after 5 s by force. It sleeps in short naps, because the last one outlives it and holds the lock on the data.
# It passes on the exit status, and as the parent it never signals an id that went to somebody else. Where the server
# ended well it removes the file that says that it runs, the first argument.
_GUARDIAN = """
exec 3<&0 </dev/null
running=$1
shift
"$@" 3<&- &
server=$!
(
    read -r _ <&3
    kill -TERM "$server"
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
        sleep 0.2 || sleep 1
    done
    kill -KILL "$server"
) 2>/dev/null &
watcher=$!
wait "$server"
status=$?
[ "$status" -ne 0 ] || rm -f "$running"
kill "$watcher" 2>/dev/null
wait "$watcher" 2>/dev/null
exit "$status"
"""


async def in_one_piece(spawning: Coroutine[None, None, _T], end: Callable[[_T], Awaitable[object]]) -> _T:
    """Await ``spawning``, which is never cancelled: asyncio would kill the guardian before it guards anything.

    Whoever is cancelled meanwhile has what was spawned ended.
    """
    task = asyncio.ensure_future(spawning)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await end(await task)
        raise


class Guarded:
    """The guardian with a nats-server below it, the pipe that keeps them alive, and the lock they hold."""

    def __init__(self, process: asyncio.subprocess.Process, lifeline: int, lock: DataLock) -> None:
        self.process = process
        """The guardian."""
        self._lifeline = lifeline
        self._lock = lock

    @classmethod
    async def spawn(
        cls, command: Sequence[str], running: Path, log: Path, lock: DataLock, launcher: Sequence[str] = ()
    ) -> Self:
        """Start ``command``, by ``launcher``, and remove the file ``running`` once it has ended well."""
        return await in_one_piece(cls._spawned(command, running, log, lock, launcher), cls.end)

    @classmethod
    async def _spawned(
        cls, command: Sequence[str], running: Path, log: Path, lock: DataLock, launcher: Sequence[str]
    ) -> Self:
        lifeline_end, lifeline = os.pipe()
        try:
            with log.open("ab") as written:
                process = await asyncio.create_subprocess_exec(
                    *launcher,
                    *("/bin/sh", "-c", _GUARDIAN, "mesh-guardian", str(running), *command),
                    stdin=lifeline_end,
                    stdout=written,
                    stderr=written,
                    pass_fds=(lock.fd,),
                    start_new_session=True,  # Ctrl-C in the terminal is for the parent, which drains first
                )
        except BaseException:
            os.close(lifeline)
            raise
        finally:
            os.close(lifeline_end)
        return cls(process, lifeline, lock)

    def cut(self) -> None:
        """Close the pipe, which ends the server."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    async def wait(self) -> int:
        """Wait for the guardian, and let go of everything.

        Returns:
            The exit status of the server; negative, the signal that ended it.
        """
        status = await self.process.wait()
        self.cut()
        self._lock.release()
        return _DIED_BY_SIGNAL - status if status > _DIED_BY_SIGNAL else status

    async def end(self) -> int:
        """Cut the pipe, and wait."""
        self.cut()
        return await self.wait()
