"""One nginx, a master and its workers: they end together, and when their parent ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Self

from daena_mesh.guardian import in_one_piece
from mesh_cli.listening import CannotServe, Listener

_STOPS_WITHIN_S = 5.0
_POLL_S = 0.05

# Like that of nats-server in daena_mesh.guardian, with another end: it takes along whoever is left of its group, itself
# included, where that one passes on a status and lets go of the lock on the data last. It is nginx's parent, and leads
# the group of all of them. Its standard input is a pipe that our process alone holds open: however we end, SIGKILL
# included, the pipe closes, and the guardian ends nginx, after 3 s by force.
# A master that was killed leaves its workers, which would serve for ever with nobody to stop them: they go as well.
_GUARDIAN = """
exec 3<&0 </dev/null
"$@" 3<&- &
nginx=$!
(
    read -r _ <&3
    kill -TERM "$nginx"
    sleep 3
    kill -KILL 0
) 2>/dev/null &
wait "$nginx" || kill -KILL 0
trap '' TERM
kill -TERM 0
"""


class Nginx:
    """A running nginx."""

    def __init__(self, process: asyncio.subprocess.Process, pid: int) -> None:
        self._process = process
        self.pid = pid
        """The master's."""

    @classmethod
    async def start(cls, program: str, folder: Path, listener: Listener, configuration: str) -> Self:
        """Start it at a socket that is bound already, and return once it answers; raises `CannotServe`.

        What it writes is in ``folder``.
        """
        _write(folder / "nginx.conf", configuration)
        with _opened(folder / "nginx.log") as log:
            process = await _spawn([program, *_arguments(folder)], listener, log)
        try:
            await _answering(process, listener, folder / "nginx.log")
            return cls(process, _number(folder / "nginx.pid"))
        except BaseException:
            await _end(process)
            raise

    async def stop(self) -> int:
        """End it, and wait until it is gone; gives its exit status. Safe to call twice."""
        return await _end(self._process)

    async def wait(self) -> None:
        """Wait until it has ended, its workers too."""
        await self._process.wait()


def _arguments(folder: Path) -> Sequence[str]:
    user = "user root; " if os.geteuid() == 0 else ""
    return (
        *("-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"),
        *("-g", f"{user}daemon off; pid {folder}/nginx.pid;"),
    )


async def _spawn(command: Sequence[str], listener: Listener, log: BinaryIO) -> asyncio.subprocess.Process:
    # nginx leaves a socket that it inherits as it is. All its workers are woken for a client, and one is given it: the
    # others would wait in accept() for the next one, and with them whoever they serve.
    listener.socket.setblocking(False)
    spawning = asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", _GUARDIAN, "mesh-guardian", *command),
        # As when it replaces itself: it takes over the socket that it is told to listen on.
        env={**os.environ, "NGINX": f"{listener.socket.fileno()};"},
        pass_fds=[listener.socket.fileno()],
        stdin=asyncio.subprocess.PIPE,
        stderr=log,
        start_new_session=True,
    )
    return await in_one_piece(spawning, _end)


async def _end(process: asyncio.subprocess.Process) -> int:
    if process.stdin is not None:
        process.stdin.close()
    try:
        return await asyncio.wait_for(process.wait(), _STOPS_WITHIN_S)
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        return await process.wait()


async def _answering(process: asyncio.subprocess.Process, listener: Listener, log: Path) -> None:
    """Return once a worker accepts; the socket itself is open before nginx is."""
    host, port = listener.socket.getsockname()[:2]
    while process.returncode is None:
        try:
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_connection(host, port, family=socket.AF_INET)
                writer.write(b"HEAD / HTTP/1.0\r\n\r\n")
                line = await reader.readline()
                writer.close()
            if line:
                return
        except (OSError, TimeoutError):
            await asyncio.sleep(_POLL_S)
    raise CannotServe(f"nginx ended at its start: {_tail(log)}")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _opened(path: Path) -> BinaryIO:
    return path.open("ab")


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-400:].strip()
