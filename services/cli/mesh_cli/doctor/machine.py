"""What this machine allows a process."""

from __future__ import annotations

import resource

from mesh_cli.doctor.finding import Finding, fine, warning

ENOUGH_FILES = 10_000


def most_open_files() -> int:
    """How many files a process that is started here may open at most; -1: as many as it likes."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return -1 if hard == resource.RLIM_INFINITY else hard


def judge_open_files(most: int) -> list[Finding]:
    """Whether there are enough for the sockets of an edge."""
    if most < 0:
        return [fine("open files", "no limit, as started from here")]
    if most >= ENOUGH_FILES:
        return [fine("open files", f"{most:,} for each process that is started from here")]
    mend = "each client is one, and two at a proxy: raise the hard limit (`ulimit -Hn`, LimitNOFILE= of systemd)"
    return [warning("open files", f"{most:,} at most for each process that is started from here", mend)]
