"""A campaign: many inputs to one target, with its progress, its first crash, and what stayed in memory."""

from __future__ import annotations

import gc
import resource
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

Check = Callable[[bytes], None]

MOST_BLOCKS = 1_000
"""Objects that may be there more at the end than after the warm-up: caches of the interpreter grow a little. A leak of
one object in a hundred inputs is ten times that in a million."""
MOST_BYTES = 32 << 20
"""By how much the largest memory of the process may grow after the warm-up; a fuzzer keeps its corpus there, too."""
_WARM_UP = 1_000
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1_024


class Crash(Exception):
    """An input for which something did not hold; `data` is that input, made as small as it easily goes."""

    def __init__(self, data: bytes, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.data = data


class Leak(Exception):
    """Memory grew with the inputs."""


class Memory(NamedTuple):
    """What the process holds, without garbage: objects (blocks of pymalloc), and the most it ever had of the system."""

    blocks: int
    peak_bytes: int

    @classmethod
    def now(cls) -> Memory:
        """Look."""
        gc.collect()
        return cls(sys.getallocatedblocks(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES)


class Campaign:
    """Feeds one target.

    Args:
        name: of the target, for what is said.
        check: raises where an input breaks what must hold.
        inputs: how many there will be. The first tenth warms up, a thousand at least: caches fill, modules load.
        say: takes lines of progress, ten or so in all.
    """

    def __init__(self, name: str, check: Check, inputs: int, say: Callable[[str], None]) -> None:
        self._name = name
        self._check = check
        self._inputs = inputs
        self._say = say
        self._begun = time.monotonic()
        self._fed = 0
        self._warm: Memory | None = None

    @property
    def is_done(self) -> bool:
        """Whether all inputs were fed."""
        return self._fed >= self._inputs

    def feed(self, data: bytes) -> None:
        """Check one input; raises `Crash`, and `Leak` with the last one."""
        try:
            self._check(data)
        except Exception as error:
            raise Crash(shrunk(self._check, data, type(error)), error) from error
        self._fed += 1
        if self._fed % max(self._inputs // 10, _WARM_UP) == 0 or self.is_done:
            self._look()

    def _look(self) -> None:
        memory = Memory.now()
        self._warm = warm = self._warm or memory
        blocks, grown_bytes = memory.blocks - warm.blocks, memory.peak_bytes - warm.peak_bytes
        grown = f"{blocks:+,} objects, {grown_bytes >> 10:+,} KiB since the warm-up"
        self._say(f"{self._name}: {self._fed:,} inputs, {time.monotonic() - self._begun:.0f} s, {grown}")
        if self.is_done and (blocks > MOST_BLOCKS or grown_bytes > MOST_BYTES):
            raise Leak(grown)


def shrunk(check: Check, data: bytes, kind: type[Exception]) -> bytes:
    """Leave out what is not needed for `check` to raise an error of this kind."""

    def still_raises(candidate: bytes) -> bool:
        try:
            check(candidate)
        except Exception as error:  # noqa: BLE001 - of any kind; one of another is another fault
            return type(error) is kind
        return False

    size = len(data)
    while size := size // 2:
        at = 0
        while at < len(data):
            candidate = data[:at] + data[at + size :]
            if still_raises(candidate):
                data = candidate
            else:
                at += size
    return data
