"""The lock that keeps two servers from one data directory."""

from __future__ import annotations

import asyncio
import fcntl
import os
from typing import TYPE_CHECKING

from daena_mesh.errors import NatsServerError
from daena_mesh.local import is_alive

if TYPE_CHECKING:
    from pathlib import Path

# A server whose parent was killed needs a moment to end; its guardian kills it after 5 s.
STOPPING_S = 7.0
# The last process of a server that this process has just ended may be dead an instant later than its guardian.
_GOING_S = 0.5
_POLL_S = 0.02
# Above the descriptors that a POSIX shell names with one digit, so that the guardian's own never collide.
_LOWEST_FD = 20


class DataLock:
    """A lock on a data directory, held by every process that inherits :attr:`fd`.

    An ``flock`` belongs to the open file, not to a process: handed down to the nats-server it outlives a
    parent that was killed, and ends with the last process that has it open, however that one ends.
    """

    def __init__(self, fd: int) -> None:
        """Wrap ``fd``, which already holds the lock; use :meth:`acquire`."""
        self.fd = fd

    @classmethod
    async def acquire(cls, data_dir: Path) -> DataLock:
        """Lock ``data_dir``, waiting only for a server that is about to end: its parent is gone, or has ended it.

        Raises:
            NatsServerError: another process holds it; the sentence names its process id.
        """
        path = data_dir / "nats-server.lock"
        with path.open("a+b") as file:
            started = asyncio.get_running_loop().time()
            while not _try_lock(file.fileno()):
                holder = _holder(path)
                if asyncio.get_running_loop().time() - started > _patience_s(holder):
                    raise NatsServerError(
                        f"the data directory {data_dir} is in use by process {holder or 'unknown'}: "
                        "stop that one, or choose another directory with --data-dir"
                    )
                await asyncio.sleep(_POLL_S)
            file.truncate(0)
            file.write(b"%d\n" % os.getpid())
            file.flush()
            return cls(fcntl.fcntl(file.fileno(), fcntl.F_DUPFD_CLOEXEC, _LOWEST_FD))

    def release(self) -> None:
        """Close this process's share of the lock; safe to call twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _patience_s(holder: int | None) -> float:
    if holder is None:
        return 0.0
    if holder == os.getpid():
        return _GOING_S
    return 0.0 if is_alive(holder) else STOPPING_S


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(path: Path) -> int | None:
    try:
        return int(path.read_bytes())
    except (OSError, ValueError):
        return None
