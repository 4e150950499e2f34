"""The machine under a bench: its cores, what a process used of them, its memory, its limits. Linux alone."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import msgspec

from daena_mesh.errors import MeshError
from daena_mesh.nats_binary import find_binary

_SPARE_FILES = 200
_PACKAGES = ("daena-mesh", "nats-py", "msgspec", "uvicorn", "uvloop", "fastapi", "websockets")


class CannotBench(MeshError):
    """Something that a bench needs is missing on this machine."""


class Cores(msgspec.Struct, frozen=True):
    """Who runs where: the process under test on one core, NATS, publisher and load generator on another."""

    edge: int
    load: int

    @classmethod
    def chosen(cls) -> Cores:
        """Take the first two cores that we may use; of a single one both."""
        usable = sorted(os.sched_getaffinity(0))
        return cls(usable[0], usable[min(1, len(usable) - 1)])

    @property
    def are_two(self) -> bool:
        """Whether the load leaves the process under test alone."""
        return self.edge != self.load


class Machine(msgspec.Struct, frozen=True):
    """Where figures come from."""

    cpu: str
    cores: int
    memory_mib: int
    kernel: str
    python: str
    versions: dict[str, str]


def check_platform() -> None:
    """Raise `CannotBench` where nothing can be measured."""
    if not sys.platform.startswith("linux"):
        raise CannotBench("mesh bench needs Linux: it pins processes to cores and reads /proc")


def describe_machine(**versions: str) -> Machine:
    """Describe this machine and what runs on it; ``versions`` are those of programs that are no packages."""
    found = {name: metadata.version(name) for name in _PACKAGES}
    return Machine(
        cpu=_cpu_model(),
        cores=os.cpu_count() or 1,
        memory_mib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_048_576,
        kernel=platform.release(),
        python=platform.python_version(),
        versions={**found, **versions},
    )


def cpu_ns(pid: int) -> int:
    """User and system time of all threads of a process so far.

    From the scheduler's own nanoseconds (``/proc/<pid>/task/*/schedstat``); where the kernel keeps none, from the
    clock ticks of ``/proc/<pid>/stat``.
    """
    try:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        spent = sum(int((task / "schedstat").read_bytes().split()[0]) for task in tasks)
    except FileNotFoundError:
        spent = 0
    if spent:
        return spent
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def private_bytes(pid: int) -> int:
    """Memory that a process shares with nobody (``/proc/<pid>/smaps_rollup``)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return 1_024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def pin(pid: int, core: int) -> None:
    """Bind all threads of a running process to a core."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), {core})


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Let what is started meanwhile begin its life bound to a core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def allow_sockets(count: int) -> None:
    """Let this process and its children open so many sockets each; raise `CannotBench` where they may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _SPARE_FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise CannotBench(
            f"{count} sockets need {wanted} open files and a process may have {hard} here: "
            "raise the hard limit (ulimit -Hn), or bench at a smaller --scale"
        )
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.machine()


def nats_server_version() -> str:
    """Ask the nats-server that is used for its version."""
    output = subprocess.run(
        [find_binary(), "--version"], capture_output=True, text=True, check=False, timeout=10
    ).stdout
    return output.rpartition(" v")[2].strip()
