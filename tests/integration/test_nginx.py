"""A real nginx at a socket that it was given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.deadlines import eventually
from tests.support.nginx import running_nginx
from tests.support.processes import children_of

NOWHERE = "http://127.0.0.1:9"


@pytest.mark.linux
async def test_no_worker_waits_in_accept_for_a_client_that_another_was_given(nginx: Path, tmp_path: Path) -> None:
    async with running_nginx(nginx, tmp_path, NOWHERE, [NOWHERE]) as url:
        master = int((tmp_path / "nginx.pid").read_text())
        workers = await eventually(lambda: children_of(master))
        listening = Path(f"socket:[{inode_of(int(url.rpartition(':')[2]))}]")
        for worker in workers:
            assert [is_blocking(fd) for fd in descriptors(worker) if fd.readlink() == listening] == [False]


def inode_of(port: int) -> str:
    """The inode of the socket that listens at ``port`` on loopback: proc(5), ``/proc/net/tcp``."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return next(row[9] for row in rows if row[1] == f"0100007F:{port:04X}" and row[3] == "0A")


def descriptors(pid: int) -> list[Path]:
    """The open files of a process."""
    return list(Path(f"/proc/{pid}/fd").iterdir())


def is_blocking(descriptor: Path) -> bool:
    """Whether who reads from it, or accepts, waits in the kernel: all processes that share it do, or none."""
    lines = (descriptor.parents[1] / "fdinfo" / descriptor.name).read_text().splitlines()
    flags = next(int(line.split()[1], 8) for line in lines if line.startswith("flags:"))
    return not flags & os.O_NONBLOCK
