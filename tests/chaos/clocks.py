"""The time of day of single processes, stepped while they run: the code that tells it is replaced in their memory.

Each process has a page of the kernel's code, the vDSO (vdso(7)), which tells the time without a system call. Both the C
library and Go call it there, so one way serves APIs, edges and nats-servers. Time namespaces do not cover the time of
day, and a library that stands before the C library does not reach Go.
"""

from __future__ import annotations

import platform
import struct
import sys
from pathlib import Path
from typing import BinaryIO

_SYMBOL = b"__vdso_clock_gettime"
_DYNAMIC_SYMBOLS = 11
_CODE = (
    b"\xb8\xe4\x00\x00\x00"  # mov  eax, 228       clock_gettime, as a system call
    b"\x0f\x05"  #             syscall
    b"\x85\xff"  #             test edi, edi       CLOCK_REALTIME is 0,
    b"\x75\x07"  #             jne  +7             and all other clocks stay as they are
    b"\x48\x81\x06%b"  #       add  qword [rsi], the step in seconds
    b"\xc3"  #                 ret
)


def can_step_clocks() -> bool:
    """Whether this is Linux, on a processor that the code is for."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


def step(pid: int, seconds: int) -> None:
    """Put the clock of a process that far from the right time; 0 puts it right.

    Raises:
        OSError: there is no such process, or it is not ours to trace.
        ValueError: it has no vDSO, or none with this function.
    """
    with Path(f"/proc/{pid}/mem").open("r+b", buffering=0) as memory:
        memory.seek(_function(pid, memory))
        # Whoever is among its first instructions at this very moment goes astray, which was not seen yet.
        memory.write(_CODE % struct.pack("<i", seconds))


def _function(pid: int, memory: BinaryIO) -> int:
    """The address of clock_gettime, by the symbols of the vDSO, which is an ELF image (elf(5))."""
    begin, end = _pages(pid)
    memory.seek(begin)
    image = memory.read(end - begin)
    (at,), (size, count) = struct.unpack_from("<Q", image, 40), struct.unpack_from("<HH", image, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, at + number * size) for number in range(count)]
    (symbols,) = (section for section in sections if section[1] == _DYNAMIC_SYMBOLS)
    offset, length, names = *symbols[4:6], sections[symbols[6]][4]
    for name, _, _, _, value, _ in struct.iter_unpack("<IBBHQQ", image[offset : offset + length]):
        if image.startswith(_SYMBOL + b"\0", names + name):
            return begin + int(value)
    raise ValueError(f"process {pid} has no {_SYMBOL.decode()}")


def _pages(pid: int) -> tuple[int, int]:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        if line.endswith("[vdso]"):
            begin, _, end = line.partition(" ")[0].partition("-")
            return int(begin, 16), int(end, 16)
    raise ValueError(f"process {pid} has no vDSO")
