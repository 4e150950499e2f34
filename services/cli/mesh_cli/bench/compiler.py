"""The C programs of a bench, compiled by the system's compiler when they are needed."""

from __future__ import annotations

import asyncio
import os
import shutil
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

from mesh_cli.bench.machine import CannotBench

_COMPILERS = ("cc", "gcc", "clang")
_FLAGS = ("-O2", "-std=gnu11", "-Wall", "-Wextra")
_PACKAGED = Path(__file__).parent / "_programs"
_CHECKOUT = Path(__file__).parents[4] / "bench"


def source(name: str) -> Path:
    """Find a program of the benches, in the wheel or in the checkout."""
    for folder in (_PACKAGED, _CHECKOUT):
        if (folder / name).exists():
            return folder / name
    raise CannotBench(f"{name} is missing from this installation: reinstall daena-mesh")


def find_compiler() -> str:
    """Find the system's C compiler; ``CC`` names another one. Raises `CannotBench` where there is none."""
    wanted = os.environ.get("CC", "")
    for name in (wanted,) if wanted else _COMPILERS:
        if found := shutil.which(name):
            return found
    missing = f"CC names {wanted!r}, which is not on the PATH" if wanted else "there is no cc, gcc or clang on the PATH"
    raise CannotBench(f"mesh bench needs a C compiler for its load generator, and {missing}: install gcc or clang")


async def compile_program(name: str, folder: Path) -> str:
    """Compile ``name``.c into ``folder``; give the program."""
    program = folder / name
    process = await asyncio.create_subprocess_exec(
        find_compiler(), *_FLAGS, "-o", str(program), str(source(f"{name}.c")), stdout=PIPE, stderr=STDOUT
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise CannotBench(f"{name}.c cannot be compiled here: {output.decode(errors='replace').strip()[:400]}")
    return str(program)
