"""Disks of the run's own, one for each nats-server: ext4 in a file, on a loop device.

A **power cut** is simulated like this: the server is stopped (SIGSTOP), so that it acknowledges nothing more; the file
below its disk is copied; the server is killed, its disk thrown away, and the copy takes its place. What the server
wrote and did not sync lies in the page cache of its file system, not in that file, and is gone; what it synced is
there. It is not simulated that a disk itself lies about what it has written, or that blocks are half written.

Needs root, Linux and `mkfs.ext4`.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.deadlines import eventually_sync

SIZE_MIB = 1_024


def can_mount_disks() -> bool:
    """Whether this machine lets us."""
    tools = all(map(shutil.which, ("mkfs.ext4", "mount", "losetup")))
    return sys.platform == "linux" and os.geteuid() == 0 and tools and Path("/dev/loop-control").exists()


class Disks:
    """A context manager that leaves nothing mounted."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder = folder
        self._names = list(names)

    def __enter__(self) -> Self:
        try:
            for name in self._names:
                image = self._image(name)
                with image.open("wb") as file:
                    file.truncate(SIZE_MIB * 1024 * 1024)
                _run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", str(image))
                self.path(name).mkdir()
                self._mount(name)
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def path(self, name: str) -> Path:
        """Where the disk of ``name`` is."""
        return self._folder / f"disk-{name}"

    def photograph(self, name: str) -> None:
        """Keep what would survive now. Nobody may write meanwhile."""
        _run("cp", "--sparse=always", str(self._image(name)), str(self._image(name)) + ".cut")

    def replace(self, name: str) -> None:
        """Go on with what was kept."""
        eventually_sync(lambda: _went_well("umount", str(self.path(name))), within_s=20)  # somebody may just be going
        Path(f"{self._image(name)}.cut").replace(self._image(name))
        self._mount(name)

    def fill(self, name: str) -> None:
        """Leave no room."""
        free = shutil.disk_usage(self.path(name)).free
        block = b"\xa5" * 65_536
        try:
            with (self.path(name) / "ballast").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, max(1, free - 1_000_000))
                file.seek(0, os.SEEK_END)
                while True:
                    file.write(block)
                    file.flush()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    def empty(self, name: str) -> None:
        """Undo `fill`."""
        (self.path(name) / "ballast").unlink(missing_ok=True)

    def _image(self, name: str) -> Path:
        return self._folder / f"{name}.ext4"

    def _mount(self, name: str) -> None:
        _run("mount", "-o", "loop,noatime", str(self._image(name)), str(self.path(name)))

    def _remove(self) -> None:
        for name in self._names:
            _run("umount", "-l", str(self.path(name)), check=False)
            self._image(name).unlink(missing_ok=True)
            Path(f"{self._image(name)}.cut").unlink(missing_ok=True)


def _went_well(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 0


def _run(*command: str, check: bool = True) -> None:
    subprocess.run(command, check=check, capture_output=True, timeout=60)
