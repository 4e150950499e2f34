"""Clocks of the run's own: a small C library stands between a process and the time of day, which may be stepped.

It serves APIs and edges, whose Python asks the C library. nats-server does not, and time namespaces do not cover the
time of day: its clock could only be stepped together with the whole machine's.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from pathlib import Path

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static volatile int64_t *offset;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CHAOS_CLOCK");
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        void *at = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
        offset = at == MAP_FAILED ? NULL : at;
    }
}

int clock_gettime(clockid_t clock, struct timespec *to) {
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(clock, to);
    if (clock == CLOCK_REALTIME && offset && status == 0) to->tv_sec += *offset;
    return status;
}
"""


def can_step_clocks() -> bool:
    """Whether this machine has a C compiler, and Linux's loader."""
    return sys.platform == "linux" and shutil.which("cc") is not None


class Clocks:
    """One clock for each process that is started with its `launcher`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._library = folder / "clock.so"
        source = folder / "clock.c"
        source.write_text(_SOURCE)
        command = ["cc", "-O2", "-shared", "-fPIC", "-o", str(self._library), str(source), "-ldl"]
        subprocess.run(command, check=True, timeout=60)

    def launcher(self, name: str) -> tuple[str, ...]:
        """What starts a process under its own clock."""
        self.step(name, 0)
        return ("env", f"LD_PRELOAD={self._library}", f"CHAOS_CLOCK={self._folder / name}.clock")

    def step(self, name: str, seconds: int) -> None:
        """Put the clock of ``name`` that far from the right time."""
        path = self._folder / f"{name}.clock"
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.write(struct.pack("=q", seconds))
