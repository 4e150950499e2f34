"""The mesh that runs on this machine: `mesh up` leaves a note of itself, and the SDK finds it there.

Each running mesh has a file of its own, named by its process id, in a directory of this user alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

_ANSWER_WITHIN_S = 0.5


def note_running(url: str, pid: int | None = None) -> None:
    """Note that a mesh runs, with NATS at ``url``, while the process ``pid`` (this one) lives."""
    directory = _directory()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_ours(directory):
        return
    pid = os.getpid() if pid is None else pid
    unfinished = directory / f".{pid}"
    unfinished.write_text(json.dumps({"url": url, "pid": pid}), encoding="utf-8")
    unfinished.replace(directory / f"{pid}.json")


def forget_running(pid: int | None = None) -> None:
    """Take the note of the process ``pid`` (this one) away."""
    with contextlib.suppress(OSError):
        (_directory() / f"{os.getpid() if pid is None else pid}.json").unlink()


def running_mesh() -> str | None:
    """Return the URL of the NATS of the mesh started last by this user on this machine, or None.

    Only a mesh whose process lives and whose NATS answers counts; notes of dead ones are removed. It blocks
    for at most half a second for each note, which a live server never needs.
    """
    directory = _directory()
    if not _is_ours(directory):
        return None
    for note in sorted(directory.glob("*.json"), key=_age, reverse=True):
        url, pid = _read(note)
        if pid is None or not is_alive(pid):
            with contextlib.suppress(OSError):
                note.unlink()
        elif _answers(url):
            return url
    return None


def is_alive(pid: int) -> bool:
    """Tell whether a process of this id exists."""
    if sys.platform == "win32":  # where signal 0 is Ctrl-C, and `mesh up` does not run
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _directory() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return Path(runtime) / "daena-mesh"
    return Path(tempfile.gettempdir()) / f"daena-mesh-{os.getuid() if hasattr(os, 'getuid') else 'user'}"


def _is_ours(directory: Path) -> bool:
    """Whether nobody else can have written there: in a shared directory anyone may take the name first."""
    try:
        status = directory.lstat()
    except OSError:
        return False
    if not hasattr(os, "getuid"):
        return stat.S_ISDIR(status.st_mode)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022


def _age(note: Path) -> float:
    try:
        return note.stat().st_mtime
    except OSError:
        return 0.0


def _read(note: Path) -> tuple[str, int | None]:
    try:
        noted = json.loads(note.read_bytes())
        return str(noted["url"]), int(noted["pid"])
    except (OSError, ValueError, LookupError, TypeError):
        return "", None


def _answers(url: str) -> bool:
    """Whether a NATS server greets at ``url``: its first word is INFO."""
    try:
        parts = urlsplit(url)
        with socket.create_connection((parts.hostname, parts.port or 4222), _ANSWER_WITHIN_S) as connection:
            return connection.recv(5).startswith(b"INFO")
    except (OSError, ValueError):
        return False
